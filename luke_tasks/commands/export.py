"""Write a trained model in another format: a checkpoint of Hugging Face."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is exported, to where, and how."""
    parser.add_argument("archive", help="a model.tar.gz, the directory of a run, or a fine-tuned LUKE of Hugging Face")
    parser.add_argument("out", help="the folder to write")
    parser.add_argument("--to", choices=tuple(FORMATS), required=True, help="the format")
    parser.add_argument("-f", "--force", action="store_true", help="replace the export that is in the folder")
    parser.add_argument("--weights-file", metavar="FILE", help="weights to use instead of the archive's")
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the archive's config")
    parser.add_argument("--push-to-hub", metavar="REPO", help="with --to huggingface: upload it as this model, too")
    parser.add_argument("--private", action="store_true", help="with --push-to-hub: make the model a private one")


def run(args: argparse.Namespace) -> int:
    """Check the request, then write."""
    log_to_terminal()
    if args.push_to_hub and args.to != "huggingface":
        raise LukeTasksError(f"--push-to-hub goes with --to huggingface, not with --to {args.to}")
    if args.private and not args.push_to_hub:
        raise LukeTasksError("--private goes with --push-to-hub REPO")
    return FORMATS[args.to](args)


def _to_huggingface(args: argparse.Namespace) -> int:
    from luke_tasks.experiment import load_trained
    from luke_tasks.interop import hub_upload, huggingface_export, model_card

    out = Path(args.out)
    huggingface_export.check_free(out, force=args.force)
    if args.push_to_hub:
        hub_upload.check_repo_name(args.push_to_hub)
    trained = load_trained(
        args.archive, overrides=args.overrides, include_packages=args.include_package, weights_file=args.weights_file
    )
    kind = huggingface_export.head_class(trained)
    metrics = {}
    if not args.overrides and not args.weights_file:  # with either, they would be another model's
        metrics = model_card.read_metrics(Path(args.archive), trained.config.resolved)
    card = model_card.model_card(trained, kind, name=args.push_to_hub or out.name, metrics=metrics)
    huggingface_export.export(trained, out, card=card, force=args.force)
    print(f"{out}: {kind.name}" + (f", labels: {', '.join(trained.labels)}" if trained.labels else ""))
    if args.push_to_hub:
        print(hub_upload.upload(out, args.push_to_hub, private=args.private))
    return 0


# Format → what writes it.
FORMATS: dict[str, Callable[[argparse.Namespace], int]] = {"huggingface": _to_huggingface}
