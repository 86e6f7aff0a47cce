"""A decision as text: what to use, what shows it, and what ruled out each of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ipclab.choose.decide import Fit
from ipclab.host.language import Language
from ipclab.report.choice import words
from ipclab.report.choice.shown import Shown
from ipclab.report.look import Look
from ipclab.report.terminal import columns


def render(shown: Shown, look: Look) -> str:
    """Return the decision as text."""
    return "\n".join(_lines(shown, look)).rstrip() + "\n"


def _lines(shown: Shown, look: Look) -> Iterator[str]:
    decision, language = shown.decision, shown.language
    if decision.fits:
        best = decision.fits[0]
        yield words.USE.of(language, backend=named(best.backend, best.settings))
        yield from _settings(best, language)
        if shown_by := list(_evidence(best, language)):
            yield ""
            yield f"{words.EVIDENCE.of(language)}:"
            yield from (f"  {line}" for line in shown_by)
        if decision.tied > 1:
            yield words.TIED.of(language, many=decision.tied)
        if len(decision.fits) > 1:
            yield ""
            yield f"{words.ALSO.of(language)}:"
            for fit in decision.fits[1:]:
                figures = f": {words.load(fit.load)}" if fit.load else ""
                yield f"  {named(fit.backend, fit.settings)}{figures}"
    else:
        yield words.NONE_FITS.of(language)
        if any(one.constraint in ("repeat", "repeated") for one in decision.rejected):
            yield words.REPEAT_HINT.of(language)
    if decision.rejected:
        header = [words.RULED_OUT.of(language), words.BECAUSE.of(language), words.SHOWN_BY.of(language)]
        rows = [
            [
                named(one.backend, one.settings),
                words.why(one, language),
                one.run or words.DECLARATION.of(language),
            ]
            for one in decision.rejected
        ]
        yield ""
        yield columns(header, rows, width=look.width, colour=look.colour)
    if decision.open:
        header = [words.UNKNOWN.of(language), words.BECAUSE.of(language)]
        unknown = [
            [
                named(one.backend, one.settings),
                "; ".join(words.gap(missing.gap, missing.target, language) for missing in one.missing),
            ]
            for one in decision.open
        ]
        yield ""
        yield columns(header, unknown, width=look.width, colour=look.colour)
    if shown.commands:
        yield ""
        yield f"{words.MEASURE_BY.of(language)}:"
        yield from (f"  {command}" for command in shown.commands)
    if shown.program is not None:
        yield ""
        yield f"{words.PROGRAM.of(language)}:"
        yield ""
        yield shown.program


def named(backend: str, settings: Mapping[str, str]) -> str:
    """Return a candidate as text: the backend, and the settings of its server."""
    return backend + "".join(f", {name}={value}" for name, value in sorted(settings.items()))


def _settings(fit: Fit, language: Language) -> Iterator[str]:
    if fit.options:
        chosen = ", ".join(f"{name}={value}" for name, value in fit.options.items())
        yield f"  {words.SETTINGS.of(language)}: {chosen}"
    if fit.settings:
        chosen = ", ".join(f"{name} {value}" for name, value in sorted(fit.settings.items()))
        yield f"  {words.SERVER_SETTINGS.of(language, broker=fit.broker)}: {chosen}"


def _evidence(fit: Fit, language: Language) -> Iterator[str]:
    if fit.load is not None:
        yield f"{words.load(fit.load)} ({fit.load.run})"
    for fault in fit.faults:
        kept = f"{fault.verdict}, {fault.kept}/{fault.trials} kept"
        harms = {"lost": fault.lost, "twice": fault.duplicated, "out of order": fault.reordered}
        seen = "".join(f", {many} {name}" for name, many in harms.items() if many)
        yield f"{fault.action} {fault.target}, {fault.moment}: {kept}{seen} ({fault.run})"
    for assumption in fit.assumed:
        yield words.ASSUMED[assumption].of(language)
    if fit.claims:
        yield words.CLAIMS.of(language, names=" ".join(fit.claims))
