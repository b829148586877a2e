import pytest

from genolm.demo.stop_gain import stop_gain_auroc

GENOME = "ACGTTGCATGCCATAGGACCTTAGACATGGCAATTCCGGATTACAGGCATGCAAT"
PLACES = (20, 25, 30, 35)


@pytest.fixture
def work(tmp_path):
    (tmp_path / "g.fa").write_text(f">c\n{GENOME}\n")
    (tmp_path / "splits.bed").write_text(f"c\t0\t{len(GENOME)}\ttrain\n")
    return tmp_path


def write_scored(path, llrs):
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    kinds = ["stop_gain", "synonymous", "stop_gain", "synonymous"]
    for place, kind, llr in zip(PLACES, kinds, llrs, strict=True):
        ref = GENOME[place]
        alt = "A" if ref != "A" else "C"
        info = f"CLASS={kind};GENOLM_LLR={llr};GENOLM_SKIP=."
        lines.append(f"c\t{place + 1}\t.\t{ref}\t{alt}\t.\t.\t{info}")
    skipped = "CLASS=stop_gain;GENOLM_LLR=.;GENOLM_SKIP=ref_mismatch"
    awkward = "CLASS=awkward;GENOLM_LLR=9;GENOLM_SKIP=."
    lines += [f"c\t41\t.\t{GENOME[40]}\tN\t.\t.\t{info}" for info in (skipped, awkward)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_each_model_has_its_own_auroc_on_the_same_variants(work):
    scored = {
        "demo": write_scored(work / "a.vcf", [-3, -1, -2, 0]),
        "bundled": write_scored(work / "b.vcf", [-3, -1, 0, -2]),
    }
    found = stop_gain_auroc(scored, work / "g.fa", work / "splits.bed")
    assert found["n"] == 4
    assert found["demo"] == 1.0
    assert found["bundled"] == 0.5
    assert {"order_3", "order_5", "order_7"} < set(found)
