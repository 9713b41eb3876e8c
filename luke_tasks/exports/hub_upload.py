"""A folder to the Hugging Face hub, through its own client."""

from __future__ import annotations

import logging
from pathlib import Path

from luke_tasks.errors import LukeTasksError

logger = logging.getLogger(__name__)


class UploadError(LukeTasksError):
    """The hub has not taken the files: the work failed, not the request."""

    exit_status = 1


def check_repo_name(name: str) -> None:
    """Raises LukeTasksError when the hub would not have a model of this name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        reason = str(error).partition("\n")[0]
        raise LukeTasksError(f"--push-to-hub {name!r}: no name the hub could have: {reason}") from None


def upload(folder: Path, name: str, *, private: bool) -> str:
    """Make the repository `name` where it is not there, and put the folder's files into it in one commit.

    Returns:
        The commit's address.
    Raises:
        UploadError: the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=name, folder_path=folder, commit_message="Model exported by luke-tasks")
    except Exception as error:  # whatever its HTTP client raises, which differs between its versions
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UploadError(f"{folder}: is written, but the hub has not taken it as {name}: {reason}; log in with "
                          "`hf auth login`, then try again with -f, or `hf upload`") from None  # fmt: skip
    return str(commit.commit_url)
