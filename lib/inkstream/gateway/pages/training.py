"""/train: the trainings with their figures and learning curves; with an admin's token one is started from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inkstream.errors import SettingError, SetupError
from inkstream.gateway.pages.desk import Desk, PageRoute, html, is_own_form
from inkstream.gateway.trainings import Busy, Training, Trainings
from inkstream.model.checkpoints import EpochEnd, best_of
from inkstream.model.recipes import RECIPES

SHOWN = 30
NO_TOKENS = (
    "A training takes the machine for a while, so it is started with a token of the role admin, and this gateway has "
    "none: set INKSTREAM_GATEWAY__TOKENS (admin:me:a-long-secret-text) and start it again, or use ./submit.sh train."
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Wrong answers by epoch as two lines in a square of 100 x 100; most: what its upper edge stands for."""

    learnt: str
    held: str
    most: str
    said: str


@dataclass(frozen=True, slots=True)
class Card:
    """A training for people. planned: epochs, 0 where it is not known yet. figures: (value, meaning)."""

    name: str
    state: str
    told: str
    done: int
    planned: int
    figures: list[tuple[str, str]]
    curve: Curve | None
    failure: str


def training_views(desk: Desk) -> APIRouter:
    """/train."""
    router = APIRouter(route_class=PageRoute)
    trainings = Trainings(desk.settings)

    def shown(request: Request, wrong: str = "", status: int = 200) -> HTMLResponse:
        return desk.page(
            request,
            "train.html",
            status=status,
            cards=[show_training(each) for each in trainings.all()[:SHOWN]],
            running=trainings.running(),
            may_start=not desk.is_open and desk.may(request, "admin"),
            data_sets=trainings.data_sets(),
            recipes=sorted(RECIPES),
            wrong=wrong,
            how=NO_TOKENS if desk.is_open else "",
        )

    @router.get("/train", response_class=HTMLResponse)
    def overview(request: Request, part: str = "") -> Response:
        if refused := desk.refused(request, "read"):
            return refused
        if part == "trainings":
            cards = [show_training(each) for each in trainings.all()[:SHOWN]]
            return html("trainings.html", cards=cards, running=trainings.running())
        return shown(request)

    @router.post("/train")
    def start(
        request: Request,
        name: Annotated[str, Form(max_length=200)],
        data: Annotated[str, Form(max_length=200)],
        recipe: Annotated[str, Form(max_length=200)] = "cnn",
        epochs: Annotated[int, Form()] = 0,
    ) -> Response:
        if desk.is_open:
            return desk.message(request, "A token, please", NO_TOKENS, 403)
        if refused := desk.refused(request, "admin"):
            return refused
        if not is_own_form(request):
            return desk.message(request, "Not from here", "This form was sent from another site.", 403)
        try:
            trainings.start(name.strip(), data, recipe, epochs)
        except (SettingError, SetupError) as error:
            return shown(request, str(error), 422)
        except Busy as error:
            return shown(request, str(error), 409)
        return RedirectResponse("/train", 303)

    return router


def show_training(training: Training) -> Card:
    """What the page says of one."""
    planned = int(training.plan.get("epochs") or 0)
    done = len(training.epochs)
    return Card(
        training.name,
        training.state,
        _told(training, done, planned),
        done,
        planned,
        _figures(training),
        draw_curve(training.epochs) if training.epochs else None,
        training.failure,
    )


def _told(training: Training, done: int, planned: int) -> str:
    if training.state == "running":
        if planned and done >= planned:
            return "the last epoch is done, the model is being written"
        return f"epoch {done + 1} of {planned} is under way" if planned else "the first epoch is under way"
    if training.state == "finished":
        return f"finished after {done} {'epoch' if done == 1 else 'epochs'}"
    if training.state == "failed":
        return "failed"
    return f"unfinished: {done} of {planned} epochs" if planned else "ended before its first epoch did"


def _figures(training: Training) -> list[tuple[str, str]]:
    found = []
    if "test" in training.metrics:
        test = training.metrics["test"]
        found.append((f"{100 * test['accuracy']:.2f} %", f"right of {test['pictures']:,} test pictures"))
    if training.epochs:
        best = best_of(list(training.epochs))
        found.append((f"{100 * best.held_accuracy:.2f} %", f"right of those held back, in epoch {best.epoch}"))
        found.append((_duration(sum(end.seconds for end in training.epochs)), "in all epochs"))
    if "pictures" in training.plan:
        found.append(
            (f"{training.plan['pictures']:,}", f"pictures to learn from, by the recipe {training.plan['name']}")
        )
    return found


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def draw_curve(epochs: tuple[EpochEnd, ...]) -> Curve:
    """The learning curve: the share of wrong answers, from none at the lower edge."""
    learnt = [1 - end.accuracy for end in epochs]
    held = [1 - end.held_accuracy for end in epochs]
    most = max(*learnt, *held) or 1.0
    said = (
        f"Wrong answers by epoch: of the pictures held back {100 * held[0]:.2f} % at first, {100 * held[-1]:.2f} % now"
    )
    return Curve(_line(learnt, most), _line(held, most), f"{100 * most:.3g} %", said)


def _line(values: list[float], most: float) -> str:
    """Points of a polyline; of a single epoch a level one."""
    values = values * 2 if len(values) == 1 else values
    step = 100 / (len(values) - 1)
    return " ".join(f"{n * step:.2f},{100 - 100 * value / most:.2f}" for n, value in enumerate(values))
