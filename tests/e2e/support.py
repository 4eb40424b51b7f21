"""What the tests of the whole program share: run commands, run a network, clean up.

The program is $ZEF. Every process is started here and ended by its pid (or is a child of one that takes its children
along); every folder is temporary. Nothing waits for a time to pass, only for something to happen, at most `patience` s.
"""
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

zef = os.environ.get("ZEF", "zef")
patience = 90


class Outcome:
    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"status {self.status}\nstdout: {self.out[-3000:]}\nstderr: {self.err[-3000:]}"


def run(*arguments, **options):
    """Runs `zef ARGUMENTS` to its end."""
    command = [zef, *(str(argument) for argument in arguments)]
    return Outcome(subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience,
                                  **options))


def done(*arguments, **options):
    outcome = run(*arguments, **options)
    assert outcome.status == 0, f"zef {' '.join(map(str, arguments))}: {outcome}"
    return outcome


def temporary_folder():
    return tempfile.mkdtemp(prefix="zef-e2e-")


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(holds, what):
    end = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < end, f"this did not happen in {patience} s: {what}"
        time.sleep(0.02)
    return found


class Server:
    """A program in the background whose first line on stdout is JSON and says that it serves."""

    def __init__(self, *arguments, err=None, **options):
        command = [zef, *(str(argument) for argument in arguments)]
        self.err_path = err
        with open(err or os.devnull, "ab") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                            **options)
        self.line = None

    def ready(self):
        """Waits for the line, and gives it."""
        data = b""
        end = time.monotonic() + patience
        while not data.endswith(b"\n"):
            left = end - time.monotonic()
            readable = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            byte = os.read(self.process.stdout.fileno(), 1) if readable else b""
            if not byte:
                self.kill()
                raise AssertionError(f"{self.process.args} did not get ready: {data!r}; {self.errors()}")
            data += byte
        self.line = json.loads(data)
        return self.line

    def errors(self):
        if not self.err_path:
            return ""
        with open(self.err_path, errors="replace") as file:
            return file.read()

    def ask_to_stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)

    def stop(self, how=signal.SIGTERM):
        """Asks it to end, and gives its exit status."""
        self.ask_to_stop(how)
        try:
            self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.process.args} did not end after signal {how}") from None
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Network(Server):
    """`zef net up` in a folder of its own."""

    def __init__(self, folder, *arguments, **options):
        self.dir = os.path.join(folder, "net")
        super().__init__("net", "up", "--dir", self.dir, "--json", *arguments, err=os.path.join(folder, "net.err"),
                         **options)
        self.ready()

    def pids(self):
        found = []
        for validator in self.line["validators"]:
            found.append(validator["balancer_pid"])
            found += [worker["pid"] for worker in validator["workers"]]
        return found

    def wallet(self, command, *arguments, **options):
        return run("wallet", command, "--dir", self.dir, "--json", *arguments, **options)

    def balance(self, account):
        outcome = self.wallet("show", account)
        assert outcome.status == 0, outcome
        return int(outcome.json["accounts"][0]["balance"])
