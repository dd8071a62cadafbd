"""Command lists: a task, and what is typed for it."""

from __future__ import annotations

from tests.extract.extracted import found


def test_command_list() -> None:
    assert found("""
        # tar

        > Archive files.

        - Create an archive:

        `tar cf target.tar file`

        - See `man tar`:

        it explains all.

        1. Unpack an archive into a folder:

        ```bash
            tar xf target.tar -C folder
        ```
    """) == [
        ("command", "tar: Create an archive", "tar cf target.tar file"),
        ("command", "tar: Unpack an archive into a folder", "tar xf target.tar -C folder"),
    ]


def test_command_of_a_session_is_what_was_typed() -> None:
    assert found("""
        1. List the keys in your keyring. Type:

        ```
            [ying@server ~]$ gpg --list-keys
            pub 1024
        ```

        2. Look at both of these files, by running:

        ```
        $ cat one
        $ cat other
        ```

        3. Type:

        ```
        exit
        ```
    """) == [("command", "List the keys in your keyring", "gpg --list-keys")]
