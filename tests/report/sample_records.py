"""Records such as real use makes: a guidance sweep, a token sweep, solvers, a training, a paper."""

from __future__ import annotations

from datetime import UTC, datetime

from dar_bench.results.record import Cost, Curve, Evaluator, Kind, Model, Record, Score

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHA = "ab" * 32


def score(name: str, value: float, stderr: float, n: int = 2000) -> Score:
    return Score(name=name, value=value, stderr=stderr, n=n, protocol=f"embedded/1;{name}")


def evaluator() -> Evaluator:
    return Evaluator(
        name="embedded",
        extractor="efficientnet-lite0",
        extractor_fingerprint="weights",
        reference="emoji64:train",
        reference_fingerprint="content",
        reference_count=4516,
    )


def generation(model: str, fd: float, inception: float, seconds: float, **options: object) -> Record:
    return _measured(
        "generation",
        model,
        [
            score("FD[efficientnet-lite0]", fd, 1.5),
            score("IS[efficientnet-lite0]", inception, 0.05),
            score("precision[efficientnet-lite0]", 0.3 + inception / 40, 0.01),
            score("recall[efficientnet-lite0]", 0.5 - inception / 40, 0.01),
        ],
        options,
        seconds,
    )


def reconstruction(solver: str, steps: int, fd: float) -> Record:
    scores = [score("rFD[efficientnet-lite0]", fd, 2.0, 560), score("PSNR", 20.0 - fd / 50, 0.1, 560)]
    return _measured("reconstruction", "dar-tiny-tokenizer", scores, {"solver": solver, "steps": steps}, 4.0)


def training() -> Record:
    return Record(
        kind="training",
        model=Model(name="dar-tiny", weights_sha256=SHA, parameters=1_837_952),
        samples=64_000,
        curves=[
            Curve(name="train/loss", steps=[1, 500, 1000], values=[6.9, 4.1, 3.2]),
            Curve(name="eval/validation_loss", steps=[500, 1000], values=[4.2, 3.4]),
        ],
        created=WHEN,
    )


def reported(model: str, fid: float, family: str, **options: object) -> Record:
    return Record(
        kind="generation",
        origin="reported",
        source=f"D-AR, Table 3, {model}",
        model=Model(name=model, parameters=343_000_000),
        options={"family": family, **options},
        samples=50_000,
        scores=[Score(name="FID", value=fid, n=50_000), Score(name="IS", value=260.0 + fid, n=50_000)],
        created=WHEN,
    )


def everything() -> list[Record]:
    """One record of every sort that the report has a place for."""
    guidance = [("none", 120.0, 2.4), ("1.5", 104.0, 2.7), ("2.0", 99.0, 2.9), ("linear:1.0-4.0", 101.0, 2.8)]
    return [
        *(generation("dar-tiny", fd, good, 9.0, cfg=cfg, tokens=64) for cfg, fd, good in guidance),
        *(
            generation("toy-diffusion", fd * 1.2, good - 0.3, 22.0, cfg=cfg, steps=50)
            for cfg, fd, good in guidance
        ),
        *(
            generation("dar-tiny", fd, 2.2 + tokens / 100, 9.0, cfg="2.5", tokens=tokens)
            for tokens, fd in ((16, 190.0), (32, 140.0), (48, 118.0), (64, 100.0))
        ),
        *(
            reconstruction(solver, steps, fd)
            for solver, shift in (("euler", 8.0), ("adams2", 0.0))
            for steps, fd in ((4, 170.0 + shift), (8, 160.0 + shift))
        ),
        training(),
        reported("A <system> & co", 2.44, "vanilla AR", cfg="linear:1.1-8.0"),
        reported("Another", 3.6, "diffusion", cfg="1.5"),
    ]


def _measured(
    kind: Kind, model: str, scores: list[Score], options: dict[str, object], seconds: float
) -> Record:
    return Record(
        kind=kind,
        model=Model(name=model, weights_sha256=SHA, parameters=1_837_952),
        options=options,
        seeds={"run": 0},
        samples=scores[0].n,
        evaluator=evaluator(),
        scores=scores,
        cost=Cost(seconds=2 * seconds, model_seconds=seconds, images_per_second=scores[0].n / seconds),
        command=["dar-bench", "eval", "gfid", "--model", model],
        created=WHEN,
    )
