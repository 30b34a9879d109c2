"""Optional packages: whether they are there, whether they import alone and beside torch, what is known to break."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from dar_bench.doctor.findings import Check
from dar_bench.doctor.processes import Trial, attempt_all

_AREA = "packages"


@dataclass(frozen=True, kw_only=True)
class Package:
    """An optional package.

    Attributes:
        distributions: names on the registry, any of which brings the module.
        module: what is imported.
        extra: of dar-bench.
        use: what it is for.
        alone: it is used in a process of its own, so that it need not bear torch beside it.
    """

    distributions: tuple[str, ...]
    module: str
    extra: str
    use: str
    alone: bool = False


PACKAGES: Mapping[str, Package] = {
    package.distributions[0]: package
    for package in (
        Package(
            distributions=("tensorflow", "tensorflow-cpu", "tensorflow-intel"),
            module="tensorflow",
            extra="adm",
            use="the evaluator adm",
            alone=True,
        ),
        Package(
            distributions=("torch-fidelity",),
            module="torch_fidelity",
            extra="torch-fidelity",
            use="the evaluator torch-fidelity",
        ),
        Package(
            distributions=("clean-fid",),
            module="cleanfid.fid",
            extra="clean-fid",
            use="the evaluator clean-fid",
        ),
        Package(distributions=("lpips",), module="lpips", extra="lpips", use="LPIPS"),
        Package(distributions=("accelerate",), module="accelerate", extra="train", use="training"),
        Package(distributions=("tensorboard",), module="tensorboard", extra="train", use="training curves"),
        Package(distributions=("ray",), module="ray", extra="ray", use="sweeps on several machines"),
        Package(distributions=("pandas",), module="pandas", extra="dev", use="results as data frames"),
    )
}

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class BadPair:
    """Two versions that are known not to work together.

    Attributes:
        package, other: names of distributions.
        package_is, other_is: whether a version is affected.
        breaks: what happens. remedy: what helps.
    """

    package: str
    package_is: Callable[[Version], bool]
    other: str
    other_is: Callable[[Version], bool]
    breaks: str
    remedy: str


def _any(_: Version) -> bool:
    return True


def _scipy_without_disp(found: Version) -> bool:
    return found >= (1, 18)


_SQRTM = (
    "its Frechet distance calls sqrtm(disp=False), which SciPy 1.18 removed: TypeError after all features"
)
_SQRTM_REMEDY = (
    "dar-bench computes the distance itself; for the package's own functions: pip install 'scipy<1.18'"
)

BAD_PAIRS = (
    BadPair(
        package="clean-fid",
        package_is=lambda found: found <= (0, 1, 35),
        other="scipy",
        other_is=_scipy_without_disp,
        breaks=_SQRTM,
        remedy=_SQRTM_REMEDY,
    ),
    BadPair(
        package="pytorch-fid",
        package_is=lambda found: found <= (0, 3, 0),
        other="scipy",
        other_is=_scipy_without_disp,
        breaks=_SQRTM,
        remedy=_SQRTM_REMEDY,
    ),
    BadPair(
        package="torch-fidelity",
        package_is=lambda found: found <= (0, 4, 0),
        other="numpy",
        other_is=lambda found: found >= (1, 24),
        breaks="its class-conditional generators use np.int, which NumPy 1.24 removed: AttributeError",
        remedy="Give it images; dar-bench does so.",
    ),
    BadPair(
        package="torchmetrics",
        package_is=_any,
        other="torch-fidelity",
        other_is=lambda found: found > (0, 4, 0),
        breaks="torchmetrics accepts torch-fidelity up to 0.4.0 only",
        remedy="pip install 'torch-fidelity<=0.4.0'",
    ),
)


def examine_packages(*, imports: bool = True) -> list[Check]:
    """Look at every optional package and at the pairs that are known to break.

    Args:
        imports: try the imports too, each in a process of its own, alone or beside torch as it is used.
    """
    installed = {name: found for name, package in PACKAGES.items() if (found := _version(package))}
    trials: list[Trial] = []
    if imports:
        trials = attempt_all([(_import_program(PACKAGES[name]),) for name in installed])
    tried = dict(zip(installed, trials, strict=False))
    checks = []
    for name, package in PACKAGES.items():
        if name not in installed:
            detail = f"not installed; for {package.use}"
            remedy = f"pip install 'dar-bench[{package.extra}]'"
            checks.append(Check(area=_AREA, name=name, state="absent", detail=detail, remedy=remedy))
        else:
            checks.append(_installed_check(name, installed[name], tried.get(name)))
    return checks + known_bad()


def _import_program(package: Package) -> str:
    return f"{'' if package.alone else 'import torch; '}import {package.module}"


def _installed_check(name: str, found: str, trial: Trial | None) -> Check:
    how = "in a process of its own, as it is used" if PACKAGES[name].alone else "beside torch"
    if trial is None:
        return Check(area=_AREA, name=name, state="ok", detail=f"{found}, import not tried")
    if trial.ok:
        return Check(area=_AREA, name=name, state="ok", detail=f"{found}, imports {how}")
    return Check(
        area=_AREA,
        name=name,
        state="broken",
        detail=f"{found}, does not import {how}: {trial.problem}",
        remedy=f"Install it again: pip install --force-reinstall {name}",
    )


def known_bad(versions: Mapping[str, str] | None = None) -> list[Check]:
    """Return a warning for every pair of installed versions that is known to break.

    Args:
        versions: distribution to version; those installed here without.
    """
    found = []
    for pair in BAD_PAIRS:
        names = (pair.package, pair.other)
        texts = [versions.get(name, "") if versions is not None else _installed(name) for name in names]
        one, other = (_parse(text) for text in texts)
        if one and other and pair.package_is(one) and pair.other_is(other):
            found.append(
                Check(
                    area="known problems",
                    name=f"{pair.package} {texts[0]} with {pair.other} {texts[1]}",
                    state="warning",
                    detail=pair.breaks,
                    remedy=pair.remedy,
                )
            )
    return found


def _version(package: Package) -> str:
    return next((found for name in package.distributions if (found := _installed(name))), "")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _parse(text: str) -> Version:
    """Return the numbers at the beginning of a version."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
