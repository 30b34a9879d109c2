"""The training loop: one for every task. Reading order is call order.

A step is a pure function of (recipe, weights, step number): the data order, all random numbers and the
learning rate follow from them, so that a run may be killed and resumed, or spread over another number of
processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dar_bench.console import note, progress
from dar_bench.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, UserError
from dar_bench.training import checkpoint
from dar_bench.training.distributed import any_process, is_main, on_main, rank, start, world_size
from dar_bench.training.ema import Ema
from dar_bench.training.learner import Learner
from dar_bench.training.loader import Batch, batches
from dar_bench.training.logs import MetricWindow, RunLog, say_progress
from dar_bench.training.measure import Clock, device_name, memory_gib
from dar_bench.training.order import StepSampler
from dar_bench.training.recipe import TrainingRecipe, to_dict
from dar_bench.training.run_folder import RunFolder, versions
from dar_bench.training.schedules import ema_decay, learning_rate
from dar_bench.training.seeding import seed_step
from dar_bench.training.signals import StopRequest
from dar_bench.training.task import Adversary, TrainingTask, parameter_groups

if TYPE_CHECKING:
    from accelerate import Accelerator


def train(task: TrainingTask, recipe: TrainingRecipe, run_dir: Path, *, resume: bool = False) -> nn.Module:
    """Train ``task`` and return the module with the averaged weights.

    Works in one process and, unchanged, under ``accelerate launch`` or ``torchrun``; several machines need a
    shared ``run_dir``. It fills ``run_dir`` with ``recipe.toml``, ``run.json``, ``metrics.jsonl``,
    ``tensorboard/``, ``images/``, ``checkpoints/`` and ``export/`` (what the task writes).

    Raises:
        UserError: see :class:`RunFolder`; a loss that is not finite (exit status 1); SIGINT or SIGTERM,
            after a checkpoint was written (exit status 130).
    """
    accelerator = start(recipe.train)
    folder: RunFolder | None = None

    def open_folder() -> checkpoint.Checkpoint | None:
        nonlocal folder
        folder = RunFolder(run_dir, recipe, resume=resume, free=task.free_on_resume)
        return folder.resumed

    with contextlib.ExitStack() as stack:
        resumed = on_main(open_folder)
        if folder is not None:
            stack.callback(folder.close)
        trainer = Trainer(task, recipe, accelerator, resumed)
        if folder is not None:
            trainer.attach(folder)
            stack.callback(trainer.close)
        trainer.run()
        return trainer.ema.module


class Trainer:
    """The state of one training: weights, average, optimizer, step; those of an adversary where there is one."""

    def __init__(
        self,
        task: TrainingTask,
        recipe: TrainingRecipe,
        accelerator: Accelerator,
        resumed: checkpoint.Checkpoint | None,
    ):
        self.task, self.recipe, self.config = task, recipe, recipe.train
        self.accelerator, self.device = accelerator, accelerator.device
        self.step = resumed.step if resumed else 0
        self.window = MetricWindow(resumed.window if resumed else None)
        self.loss: float | None = None
        self.log: RunLog | None = None
        self.folder: RunFolder | None = None

        self.module = task.module.to(self.device).train()
        task.prepare(self.device)
        self.ema = Ema(self.module)
        self.learner = Learner(
            self.module,
            task.parameter_groups(recipe.optimizer),
            recipe.optimizer,
            accelerator,
            self.config.precision,
        )
        self.opponent = self._opponent(task.adversary)
        if resumed:
            self._load(resumed.tensors())
        self.learner.prepare(compile=self.config.compile)
        if self.opponent:
            self.opponent.prepare(compile=False)
        self.sampler = StepSampler(
            count=len(task.dataset),
            seed=self.config.seed,
            batch_size=self.config.batch_size,
            micro_batch=self.config.micro_batch,
            start=self.step,
            steps=self.config.steps,
            rank=rank(),
            world=world_size(),
        )
        self._bad_step = torch.zeros((), dtype=torch.int64, device=self.device)
        self._clock = Clock()

    def _opponent(self, adversary: Adversary | None) -> Learner | None:
        if adversary is None:
            return None
        module = adversary.module.to(self.device).train()
        groups = parameter_groups(module.parameters(), adversary.optimizer)
        return Learner(module, groups, adversary.optimizer, self.accelerator, self.config.precision)

    def _load(self, stored: dict[str, Any]) -> None:
        self.learner.load(stored["module"], stored["optimizer"])
        self.ema.module.load_state_dict(stored["ema"])
        if self.opponent:
            self.opponent.load(stored["adversary"], stored["adversary_optimizer"])

    def attach(self, folder: RunFolder) -> None:
        """Make this process the one that writes."""
        self.folder = folder
        folder.start_session(
            {
                "parameters": sum(p.numel() for p in self.module.parameters() if p.requires_grad),
                "examples": len(self.task.dataset),
                "device": device_name(self.device),
                "processes": world_size(),
            }
        )
        self.log = RunLog(folder.folder, step=self.step)

    def close(self) -> None:
        """Close the logs; a session that did not end by itself is marked as failed."""
        if self.log is not None:
            self.log.close()
        if self.folder is not None:
            with contextlib.suppress(UserError):
                self.folder.end_session(step=self.step, outcome="failed")

    def run(self) -> None:
        """Do the remaining steps."""
        config = self.config
        data = batches(self.task.dataset, self.sampler, workers=config.workers, device=self.device)
        with StopRequest() as stop, self._progress() as advance:
            self._clock.start()
            while self.step < config.steps:
                self.one_step(data)
                last = self.step == config.steps
                stopping = any_process(stop.requested, self.device) and not last
                if _due(self.step, config.log_every) or last:
                    self.write_log()
                with self._clock.paused():
                    if _due(self.step, config.eval_every) or (last and config.eval_every):
                        self.evaluate()
                    if _due(self.step, config.image_every) or (last and config.image_every):
                        self.draw_images()
                    if _due(self.step, config.checkpoint_every) or last or stopping:
                        self.write_checkpoint()
                advance()
                if stopping:
                    self._interrupted()
        self._finished()

    def one_step(self, data: Iterator[Batch]) -> None:
        """Draw one global batch, update the weights and their average, then the adversary, if it is its time."""
        parts = self.sampler.micro_batches
        seed_step(self.config.seed, self.step, rank())
        made = [
            self.learner.accumulate(next(data), parts=parts, last=number == parts - 1)
            for number in range(parts)
        ]
        numbers = self.learner.update(self._rate(self.learner))
        bad = ~(torch.isfinite(numbers["loss"]) & torch.isfinite(numbers["grad_norm"]))
        self.ema.update(ema_decay(self.step, self.recipe.ema))
        adversary = self.task.adversary
        if self.opponent and adversary and self.step >= adversary.start:
            for number, batch in enumerate(made):
                self.opponent.accumulate(batch, parts=parts, last=number == parts - 1)
            theirs = self.opponent.update(self._rate(self.opponent))
            bad |= ~(torch.isfinite(theirs["loss"]) & torch.isfinite(theirs["grad_norm"]))
            numbers |= {f"adversary_{name}": value for name, value in theirs.items()}
        self.step += 1
        self.window.add(numbers)
        self._note_bad_step(bad)
        self.task.after_step(self.step)
        self._clock.count(self.config.batch_size)

    def _rate(self, learner: Learner) -> float:
        return learning_rate(
            self.step,
            peak=learner.config.lr,
            schedule=self.recipe.schedule,
            total_steps=self.config.steps,
        )

    def write_log(self) -> None:
        """Write the means since the last entry: over steps, micro-batches and processes."""
        self._stop_if_not_finite()
        numbers = self.window.means()
        if _due(self.step, self.config.log_every):
            # The entry of a last step in between leaves its window open for a run that is resumed with more
            # steps.
            self.window.clear()
        if self.log is None:
            return
        self.loss = numbers["loss"]
        numbers["lr"] = self.learner.optimizer.param_groups[0]["lr"]
        numbers["epoch"] = self.step * self.config.batch_size / len(self.task.dataset)
        numbers["images_per_second"] = self._clock.rate()
        numbers["memory_gib"] = memory_gib(self.device)
        self.log.write("train", self.step, numbers)
        say_progress(self.step, self.config.steps, numbers)

    @torch.no_grad()
    def evaluate(self) -> None:
        """Let the task score the weights and their average."""
        self._stop_if_not_finite()
        self.module.eval()
        scores = self.task.evaluate(self.module, self.ema.module, self.step)
        self.module.train()
        if self.log is not None and scores:
            self.log.write("eval", self.step, scores)
            shown = "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
            note(f"step {self.step}/{self.config.steps}  evaluation: {shown}")

    @torch.no_grad()
    def draw_images(self) -> None:
        """Let the task draw something to look at, with the averaged weights."""
        if self.log is not None:
            self.log.images(self.step, self.task.images(self.ema.module, self.step))

    @torch.no_grad()
    def write_checkpoint(self) -> None:
        """Write what resuming needs, then the usable weights."""
        self._stop_if_not_finite()
        window = self.window.sums()
        if self.folder is None:
            return
        state = {
            "module": self.module.state_dict(),
            "ema": self.ema.module.state_dict(),
            "optimizer": self.learner.optimizer.state_dict(),
        }
        if self.opponent:
            state["adversary"] = self.opponent.module.state_dict()
            state["adversary_optimizer"] = self.opponent.optimizer.state_dict()
        checkpoint.save(
            self.folder.checkpoints,
            state,
            step=self.step,
            recipe=to_dict(self.recipe),
            versions=versions(),
            window=window,
            keep=self.config.keep_checkpoints,
        )
        self.export()

    def export(self) -> None:
        """Let the task write the averaged weights in their final form."""
        if self.folder is not None:
            target = self.folder.folder / "export"
            target.mkdir(exist_ok=True)
            self.task.export(self.ema.module, target)

    def _note_bad_step(self, bad: Tensor) -> None:
        """Remember the first step whose loss or gradient is not finite, without waiting for the device."""
        self._bad_step = torch.where((self._bad_step == 0) & bad, self.step, self._bad_step)

    def _stop_if_not_finite(self) -> None:
        """Raise on every process when any of them saw a bad step; called before anything is written."""
        first = int(self._bad_step.item())
        if not any_process(first > 0, self.device):
            return
        if not is_main():
            raise SystemExit(EXIT_CHECK_FAILED)
        kept = checkpoint.steps(self.folder.checkpoints) if self.folder else []
        if self.folder is not None:
            self.folder.end_session(step=self.step, outcome="loss not finite")
        raise UserError(
            f"The loss or its gradient is not finite at step {first or self.step}.",
            why=f"The last checkpoint is that of step {kept[-1]}." if kept else "There is no checkpoint yet.",
            hint="Try a lower optimizer.lr, a longer schedule.warmup_steps, or train.precision=float32.",
            exit_code=EXIT_CHECK_FAILED,
        )

    def _interrupted(self) -> None:
        """End after a checkpoint was written because of a signal."""
        if self.folder is None:
            raise SystemExit(EXIT_INTERRUPTED)
        self.folder.end_session(step=self.step, outcome="interrupted")
        raise UserError(
            f"Stopped after step {self.step} of {self.config.steps}; the checkpoint is written.",
            hint="Run the same command with --resume to go on.",
            exit_code=EXIT_INTERRUPTED,
        )

    def _finished(self) -> None:
        self.module.eval()
        if self.folder is not None:
            # A run that was complete already, or was killed between its last checkpoint and its export,
            # exports here.
            self.export()
            self.folder.end_session(step=self.step, outcome="complete")
        # No process goes on before everything is written.
        self.accelerator.wait_for_everyone()

    @contextlib.contextmanager
    def _progress(self) -> Iterator[Any]:
        if not is_main():
            yield lambda: None
            return
        with progress("Training", self.config.steps) as bar:
            bar.advance(self.step)

            def advance() -> None:
                if self.loss is not None:
                    bar.describe(f"Training, loss {self.loss:.4f}")
                bar.advance()

            yield advance


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
