"""What the provenance of an output says about the calibration of its percentiles."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CalibrationNote:
    """Which background percentiles were taken from.

    Attributes:
        name: Made of everything that its scores depend on; the stored file is called after it.
        background: ``random:N`` or the name of a file.
        snvs: Background SNVs in all.
        sha256: Digest of the calibration file.
    """

    name: str
    background: str
    snvs: int
    sha256: str

    def line(self) -> str:
        """Return the header line, structured so that htslib keeps it."""
        shown = " ".join(self.background.replace('"', "'").split())
        return (
            f'##genolmCalibration=<ID={self.name},background="{shown}",n={self.snvs},'
            f"sha256={self.sha256}>"
        )

    def values(self) -> dict[str, str | int]:
        """Return the same by name, for formats that have names."""
        return {
            "calibration": self.name,
            "calibration_background": self.background,
            "calibration_snvs": self.snvs,
            "calibration_sha256": self.sha256,
        }
