"""Write a trained model in another form: a checkpoint of Hugging Face, a lite copy, or ONNX."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError
from luke_tasks.exports.output import check_apart, check_free, written_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is exported, to where, and how."""
    parser.add_argument("archive", help="a model.tar.gz, the directory of a run, an archive of AllenNLP, or a LUKE of "
                                        "Hugging Face")  # fmt: skip
    parser.add_argument("out", help="the folder to write")
    parser.add_argument("--to", choices=tuple(FORMATS), required=True,
                        help="huggingface: what from_pretrained loads; lite: entity embeddings cut to the special "
                             "entities; onnx: a graph")  # fmt: skip
    parser.add_argument("-f", "--force", action="store_true", help="replace the export that is in the folder")
    parser.add_argument("--weights-file", metavar="FILE", help="weights to use instead of the archive's")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the archive's config")
    parser.add_argument("--push-to-hub", metavar="REPO", help="with --to huggingface: upload it as this model, too")
    parser.add_argument("--private", action="store_true", help="with --push-to-hub: make the model a private one")


def run(args: argparse.Namespace) -> int:
    """Check the request, then write, and print what was written."""
    log_to_terminal()
    if args.push_to_hub and args.to != "huggingface":
        raise LukeTasksError(f"--push-to-hub goes with --to huggingface, not with --to {args.to}")
    if args.private and not args.push_to_hub:
        raise LukeTasksError("--private goes with --push-to-hub REPO")
    check_free(Path(args.out), force=args.force)
    return FORMATS[args.to](args)


def _to_huggingface(args: argparse.Namespace) -> int:
    from luke_tasks.exports import hub_upload, huggingface, model_card
    from luke_tasks.trained import load_trained

    out = Path(args.out)
    if args.push_to_hub:
        hub_upload.check_repo_name(args.push_to_hub)
    trained = load_trained(
        args.archive, overrides=args.overrides, include_packages=args.include_package, weights_file=args.weights_file
    )
    kind = huggingface.head_class(trained)
    metrics = {}
    if not args.overrides and not args.weights_file:  # with either, they would be another model's
        metrics = model_card.read_metrics(Path(args.archive), trained.config.resolved)
    card = model_card.model_card(trained, kind, name=args.push_to_hub or out.name, metrics=metrics)
    huggingface.export(trained, out, card=card, force=args.force)
    print(f"{out}: {kind.name}" + (f", labels: {', '.join(trained.labels)}" if trained.labels else ""))
    if args.push_to_hub:
        print(hub_upload.upload(out, args.push_to_hub, private=args.private))
    return 0


def _to_lite(args: argparse.Namespace) -> int:
    from luke_tasks.exports import lite

    return _fill(lite, args)


def _to_onnx(args: argparse.Namespace) -> int:
    from luke_tasks.exports import onnx

    return _fill(onnx, args)


def _fill(module: ModuleType, args: argparse.Namespace) -> int:
    """Write what `module.export` makes, in one step, and print what it says of it."""
    out = Path(args.out)
    check_apart(args.archive, out)
    with written_folder(out) as partial:
        report = module.export(
            args.archive, partial, overrides=args.overrides, include_packages=args.include_package,
            weights_file=args.weights_file,
        )  # fmt: skip
    print(f"{out}: {report}")
    return 0


# Format → what writes it.
FORMATS: dict[str, Callable[[argparse.Namespace], int]] = {
    "huggingface": _to_huggingface,
    "lite": _to_lite,
    "onnx": _to_onnx,
}
