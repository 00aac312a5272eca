"""What decodes pictures and sounds, tried on tiny files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from datakit.doctor.child import Outcome
from datakit.doctor.model import Check
from datakit.doctor.pip import pip_install

_OPTIONAL = {"WEBP", "AVIF", "TIFF"}
_LEAST_MP3 = (1, 1, 0)


def codec_checks(outcomes: Mapping[str, Outcome]) -> Iterator[Check]:
    """Pillow and libsndfile, format by format.

    Args:
        outcomes: of the stages `pillow` and `soundfile` of `imports_probe`.
    """
    yield _pictures(outcomes["pillow"])
    yield _sounds(outcomes["soundfile"])


def _pictures(outcome: Outcome) -> Check:
    fix = pip_install("pillow", options="--force-reinstall --only-binary=:all:")
    if outcome.error.startswith("not tried"):
        return Check("pictures", "note", f"Pillow {outcome.error}")
    if not outcome.is_good:
        return Check("pictures", "broken", f"Pillow {outcome.error}", "every picture is read by Pillow", fix)
    value = outcome.value
    bad = {name: said for name, said in value["formats"].items() if said}
    turbo = f"libjpeg-turbo {value['libjpeg_turbo']}" if value["libjpeg_turbo"] else "no libjpeg-turbo"
    good = ", ".join(name for name in value["formats"] if name not in bad)
    found = f"Pillow {value['version']} reads {good}; {turbo}"
    if bad:
        failing = "; ".join(f"{name}: {said}" for name, said in bad.items())
        is_broken = bool(bad.keys() - _OPTIONAL)
        why = f"such files cannot be read: {failing}"
        return Check("pictures", "broken" if is_broken else "note", found, why, fix)
    if not value["libjpeg_turbo"]:
        why = "JPEGs decode two to six times as slow without it"
        return Check("pictures", "warning", found, why, fix)
    return Check("pictures", "ok", found)


def _sounds(outcome: Outcome) -> Check:
    fix = pip_install("soundfile", options="--force-reinstall --only-binary=:all:")
    if outcome.error.startswith("not tried"):
        return Check("sounds", "note", f"soundfile {outcome.error}")
    if not outcome.is_good:
        if "sndfile" in outcome.text:
            fix = f"{fix}\nsudo apt-get install libsndfile1"
        why = "FLAC, Ogg and MP3 are read by it; WAV needs nothing"
        return Check("sounds", "broken", f"soundfile {outcome.error}", why, fix)
    value = outcome.value
    bad = {name: said for name, said in value["formats"].items() if said}
    good = ", ".join(name for name in value["formats"] if name not in bad)
    found = f"libsndfile {value['libsndfile']} reads {good}"
    if not bad:
        return Check("sounds", "ok", found)
    why = "such files cannot be read: " + "; ".join(f"{name}: {said}" for name, said in bad.items())
    if "MP3" in bad and _version(value["libsndfile"]) < _LEAST_MP3:
        why += "; MP3 needs libsndfile 1.1.0, which the wheels of soundfile bring"
    return Check("sounds", "broken" if bad.keys() - {"MP3", "OGG Opus"} else "warning", found, why, fix)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
