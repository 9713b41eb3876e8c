"""Archives of strangers, unpacked: regular files and directories only, inside one folder, no more than is plausible.

Links, devices and pipes are refused, and so are members that would leave the folder, stand there twice, or unpack to
many times the size of the file (bombs). What gzip and tar say of sizes is checked as it comes, not believed.
"""

from __future__ import annotations

import errno
import gzip
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from luke_tasks.errors import ArchiveError
from luke_tasks.untrusted import reason_of

MOST_MEMBERS = 1000  # an archive of ours has 11
MOST_BYTES = 64 * 2**30
MOST_RATIO = 100  # unpacked to packed: weights hardly shrink; beyond `FREE_BYTES` only
FREE_BYTES = 2**30
MOST_AFTER = 2**26  # bytes after the last member: tar pads with zeros, some kilobytes
LONGEST_HEADER = 2**16  # bytes of a member's extended header, which are read at once
LONGEST_NAME = 200  # characters
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, a quota, a limit of files
_CHUNK_BYTES = 2**20
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Member(tarfile.TarInfo):
    """A member whose header does not take more memory than a name needs."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > LONGEST_HEADER:
            raise tarfile.HeaderError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.HeaderError("a sparse file")
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member


def unpack(path: Path, directory: Path, name: str) -> None:
    """Extract an archive into an empty directory.

    Args:
        name: what an archive is called, for messages.
    Raises:
        ArchiveError: it is damaged, or one of the above.
    """
    try:
        with gzip.open(path) as stream:
            options: Any = {"bufsize": _CHUNK_BYTES, "copybufsize": _CHUNK_BYTES, "tarinfo": _Member}
            with tarfile.open(fileobj=stream, mode="r|", **options) as tar:
                tar.extractall(directory, members=_checked(tar, path, directory), filter="data")
            after = 0
            while chunk := stream.read(_CHUNK_BYTES):  # to the checksum, which stands at the end
                after += len(chunk)
                if after > MOST_AFTER:
                    raise ArchiveError(f"{path}: refused: more than {MOST_AFTER:,} bytes follow its last member")
    except ArchiveError:
        raise
    except PermissionError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror}") from None
    except tarfile.FilterError as error:
        raise ArchiveError(f"{path}: refused: a member would leave the folder, or is no file: {error}") from None
    except tarfile.HeaderError as error:
        raise ArchiveError(f"{path}: refused: has {error}, which no archive of ours or AllenNLP's has") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise ArchiveError(f"{path}: cannot be unpacked into {directory}: {error.strerror}; set TMPDIR to a "
                               "folder with room for it") from None  # fmt: skip
        raise ArchiveError(f"{path}: not a readable {name}, perhaps cut short or damaged ({error})") from None
    except Exception as error:  # tarfile lets through whatever its parsing of numbers and names meets
        raise ArchiveError(f"{path}: not a readable {name}, perhaps damaged ({reason_of(error)})") from error


def _checked(tar: tarfile.TarFile, path: Path, directory: Path) -> Iterator[tarfile.TarInfo]:
    """The members, each before it is written, as long as all is well."""
    size = 0
    most = min(MOST_BYTES, max(FREE_BYTES, MOST_RATIO * path.stat().st_size))
    seen: set[PurePosixPath] = set()
    for number, member in enumerate(tar, start=1):
        size += member.size
        fault = _fault(member, seen)
        if number > MOST_MEMBERS:  # counted, for a folder may come again and again
            fault = f"it has more than {MOST_MEMBERS} members"
        if fault:
            raise ArchiveError(f"{path}: refused: {fault}")
        if size > MOST_BYTES:
            raise ArchiveError(f"{path}: would unpack to more than {MOST_BYTES // 2**30} GiB")
        if size > most:
            raise ArchiveError(f"{path}: refused: would unpack to {size:,} bytes and more, over {MOST_RATIO} times its "
                               "own size; models are not like that")  # fmt: skip
        if member.size > shutil.disk_usage(directory).free:
            raise ArchiveError(f"{path}: {member.name} unpacks to {member.size:,} bytes, and {directory} has not so "
                               "much room; set TMPDIR to a folder that has")  # fmt: skip
        yield member


def _fault(member: tarfile.TarInfo, seen: set[PurePosixPath]) -> str:
    """Why a member is refused; `seen` are the names before it, and gets its own."""
    shown = repr(member.name if len(member.name) <= LONGEST_NAME else member.name[: LONGEST_NAME - 3] + "...")
    if len(member.name) > LONGEST_NAME:
        return f"the name of a member is longer than {LONGEST_NAME} characters: {shown}"
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        return f"a member would leave the folder, or is no file: {shown}"
    if member.issparse():
        return f"{shown} is a sparse file"
    if not (member.isreg() or member.isdir()):
        return f"a member would leave the folder, or is no file: {shown} is a link, a device or a pipe"
    if member.isreg() and name in seen:
        return f"it has the member {shown} twice"
    seen.add(name)
    return ""
