"""Programs that keep directories safe, beside which a vault is measured: restic and BorgBackup, both with encryption, and tar through
zstd, which has none. Each keeps what is in one directory, time and again."""

import os
import secrets

from . import host

PACKAGES = {"restic": "restic", "borg": "borgbackup", "zstd": "zstd", "rsync": "rsync"}


class Peer:
    """In a directory of its own, which is there only as long as the measurement's."""

    def __init__(self, directory):
        self.store = directory / "store"
        self.environment = os.environ | {"HOME": str(directory)}
        if directory.exists():
            return
        directory.mkdir(parents=True)
        (directory / "passphrase").touch(mode=0o600)
        (directory / "passphrase").write_text(secrets.token_hex(16) + "\n")

    def call(self, *line, **options):
        """@return milliseconds"""
        return host.timed(line, env=self.environment, **options)[0]


class Restic(Peer):
    """Format 2, which compresses; its files are synced as they are written (verified with strace), and the cache of what the repository has
    stays with it. Blocks are cut by content."""

    name = "restic"

    def __init__(self, directory):
        super().__init__(directory)
        self.environment |= {"RESTIC_REPOSITORY": str(self.store), "RESTIC_PASSWORD_FILE": str(directory / "passphrase"),
                             "RESTIC_CACHE_DIR": str(directory / "cache")}
        if not self.store.exists():
            self.call("restic", "init", "--repository-version", "2")

    def keep(self, source, number):
        return self.call("restic", "backup", "--quiet", ".", cwd=source)

    def verify(self):
        return self.call("restic", "check", "--read-data")

    def restore(self, target):
        return self.call("restic", "restore", "latest", "--target", target)


class Borg(Peer):
    """BLAKE2b and AES-CTR, zstd 1 as in a vault. Its segments are synced."""

    name = "borg"

    def __init__(self, directory):
        super().__init__(directory)
        self.environment |= {"BORG_REPO": str(self.store), "BORG_PASSCOMMAND": f"cat {directory / 'passphrase'}",
                             "BORG_BASE_DIR": str(directory)}
        if not self.store.exists():
            self.call("borg", "init", "--encryption", "repokey-blake2")

    def keep(self, source, number):
        return self.call("borg", "create", "--compression", "zstd,1", f"::{number}", ".", cwd=source)

    def verify(self):
        return self.call("borg", "check", "--verify-data")

    def restore(self, target):
        newest = host.command(["borg", "list", "--last", "1", "--format", "{archive}"], env=self.environment).strip()
        return self.call("borg", "extract", f"::{newest}", cwd=target)


class Tar(Peer):
    """A whole archive each time, zstd 1 on all processors, synced. To spare the disk only the newest is there; all count."""

    name = "tar + zstd"

    def __init__(self, directory):
        super().__init__(directory)
        self.store.mkdir(exist_ok=True)
        self.newest = self.store / "newest.tar.zst"

    def keep(self, source, number):
        return self.call("sh", "-c", f'tar -c . | zstd -q -f -1 -T0 -o "{self.newest}" && sync "{self.newest}"', cwd=source)

    def verify(self):
        return self.call("zstd", "-q", "-t", self.newest)

    def restore(self, target):
        return self.call("sh", "-c", f'zstd -q -d -c "{self.newest}" | tar -x -C "{target}"')


ALL = Restic, Borg, Tar


def directory_bytes(path, *without):
    """What its files take on the disk."""
    return int(host.command(["du", "-sB1", *(f"--exclude={name}" for name in without), path]).split()[0])
