"""Serve trained models on this machine: a page to try them, and a JSON API."""

from __future__ import annotations

import argparse
import logging
import math

from luke_tasks.commands._logging import log_to_terminal
from luke_tasks.errors import LukeTasksError

logger = logging.getLogger(__name__)
_CPU_TOKENS = 1024  # 32 sentences of NER on one core: 1.11 s; 1.19 s with 2048, 1.37 s all at once, 1.41 s one by one
_GPU_WAIT_MS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of archives, address, batches and limits."""
    parser.add_argument("archive", nargs="*", help="a model.tar.gz, the directory of a run, or a fine-tuned LUKE of "
                        "Hugging Face; several are served under the names of their directories")  # fmt: skip
    parser.add_argument("--name", action="append", default=[], metavar="NAME=ARCHIVE",
                        help="an archive with its name in the API (repeatable)")  # fmt: skip
    parser.add_argument("-o", "--overrides", default="", metavar="JSON", help="changes to the config of every archive")
    address = parser.add_argument_group("address")
    address.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                         help="where to listen (default 127.0.0.1: this machine alone; no password)")  # fmt: skip
    address.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000; 0: any free one")
    model = parser.add_argument_group("how the models run")
    model.add_argument("--max-batch-size", type=int, default=32, metavar="N",
                       help="windows of concurrent requests run at once (default 32)")  # fmt: skip
    model.add_argument("--max-tokens", type=int, metavar="N",
                       help="word pieces and entities run at once, padding included (default: 1024 on the CPU, "
                            "where larger batches gain nothing; no limit on a GPU)")  # fmt: skip
    model.add_argument("--batch-wait-ms", type=float, metavar="MS",
                       help="how long an input waits for others to run with (default: 5 on a GPU, 0 on the CPU, where "
                            "what comes while a batch runs makes the next one)")  # fmt: skip
    model.add_argument("--cuda-device", type=int, metavar="N",
                       help="a GPU's index, -1: the CPU (default: a GPU if any)")  # fmt: skip
    model.add_argument("--precision", choices=("fp32", "bf16"), default="fp32",
                       help="numbers the models compute with (default fp32)")  # fmt: skip
    model.add_argument("--threads", type=int, metavar="N", help="CPU threads of a model (default: torch's own choice)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-request-bytes", type=int, default=1_000_000, metavar="N",
                        help="of a request's body (default 1000000); a larger one gets status 413")  # fmt: skip
    limits.add_argument("--timeout", type=float, default=30, metavar="SECONDS",
                        help="from a request to its answer (default 30); then it gets status 504")  # fmt: skip
    limits.add_argument("--max-queue", type=int, default=256, metavar="N",
                        help="inputs of a model that wait at most (default 256); more get status 503")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    log_to_terminal()
    _check(args)
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise LukeTasksError(f"serve needs {error.name}: pip install 'luke-tasks[serve]'") from None
    from luke_tasks.serve.server import address_of, bind, is_loopback, named_archives, run_server, serve_model

    archives = named_archives(args.archive, args.name)
    bound = bind(args.host, args.port)
    import torch

    from luke_tasks.predictor import load
    from luke_tasks.serve.app import Limits, make_app
    from luke_tasks.serve.hosts import OwnNamesOnly
    from luke_tasks.serve.metrics import Metrics
    from luke_tasks.training.devices import choose_device

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    on_cpu = choose_device(args.cuda_device).type == "cpu"
    max_tokens = _CPU_TOKENS if args.max_tokens is None and on_cpu else args.max_tokens
    batch_wait_ms = (0 if on_cpu else _GPU_WAIT_MS) if args.batch_wait_ms is None else args.batch_wait_ms
    limits = Limits(args.max_request_bytes, args.timeout, args.max_queue)
    metrics = Metrics()
    served = []
    for name, archive in archives.items():
        predictor = load(
            archive, overrides=args.overrides, batch_size=args.max_batch_size, max_tokens=max_tokens,
            cuda_device=args.cuda_device, precision=args.precision, include_packages=args.include_package,
        )  # fmt: skip
        served.append(serve_model(name, archive, predictor, metrics, limits, max_batch_size=args.max_batch_size,
                                  batch_wait_seconds=batch_wait_ms / 1000, max_tokens=max_tokens))  # fmt: skip
        logger.info("%s: %s (%s)", name, archive, served[-1].task.replace("_", " "))
    if not is_loopback(bound):
        logger.warning("%s can be reached from other machines, and asks for no password: put a proxy with one before "
                       "it, or leave out --host", args.host)  # fmt: skip
    bound.listen()  # who asks as soon as the next line is read waits a moment, and is not refused
    address = address_of(bound)
    logger.info("page: %s/   API: %s/docs   stop: Ctrl-C", address, address)
    app = make_app(served, limits, metrics)
    if is_loopback(bound):
        app.add_middleware(OwnNamesOnly)
    run_server(app, bound, args.timeout)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises LukeTasksError when a number is out of range."""
    for flag in ("max_batch_size", "max_tokens", "threads", "max_request_bytes", "max_queue", "timeout"):
        value = getattr(args, flag)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise LukeTasksError(f"--{flag.replace('_', '-')}: expected a positive number, found {value}")
    if args.batch_wait_ms is not None and not 0 <= args.batch_wait_ms < math.inf:
        raise LukeTasksError(f"--batch-wait-ms: expected milliseconds from 0 on, found {args.batch_wait_ms}")
    if not 0 <= args.port <= 65535:
        raise LukeTasksError(f"--port: expected 0 to 65535, found {args.port}")
