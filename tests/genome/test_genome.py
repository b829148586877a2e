import subprocess
import sys


def test_importing_the_genome_package_loads_no_library():
    code = (
        "import sys, genolm.genome; "
        "print([m for m in ('torch', 'numpy', 'pysam', 'pyfaidx', 'Bio') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_is_there():
    import genolm.genome

    assert sorted(genolm.genome.__all__) == genolm.genome.__all__
    assert all(hasattr(genolm.genome, name) for name in genolm.genome.__all__)
