"""README.md's quick tour, executed: each command of its `sh` blocks must succeed and print what its comment says.

`zef net up` runs in the background like in a terminal of its own; where the README starts it again, Ctrl-C comes first.
After the first block that pays, all workers are killed with -9, as the README invites.
"""
import os
import re
import shlex
import signal
import subprocess
import threading

from support import alive, patience, remove, temporary_folder, wait_until, zef

source = os.environ["ZEF_SOURCE"]


def blocks():
    """The quick tour as blocks of (command, what it prints)."""
    with open(os.path.join(source, "README.md")) as file:
        tour = re.search(r"^## Quick tour$(.*?)^## ", file.read(), re.M | re.S).group(1)
    for block in re.findall(r"^```sh$(.*?)^```$", tour, re.M | re.S):
        commands = []
        for line in block.strip().splitlines():
            command, _, comment = line.partition("#")
            assert comment.startswith(" prints: "), f"README.md: say what this prints: {line}"
            commands.append((command.strip(), comment.removeprefix(" prints: ").strip()))
        yield commands


class Terminal:
    """Where the network runs."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment
        self.process = None
        self.text = ""

    def start(self, command, prints):
        if self.process:
            self.control_c()
        self.text = ""
        self.process = subprocess.Popen(shlex.split(command), cwd=self.folder, env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True).start()
        # The last line of what it says when it serves.
        wait_until(lambda: "Ctrl-C stops the network" in self.text or self.process.poll() is not None, command)
        assert prints in self.text, f"{command} does not print {prints!r}:\n{self.text}"

    def read(self, stream):
        for line in stream:
            self.text += line

    def kill_workers(self):
        pids = [int(pid) for pid in re.findall(r"w\d+ \(pid (\d+)\)", self.text)]
        assert pids, self.text
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.text.count("was killed by signal 9; it is started again") == len(pids), "all are missed")
        print(f"killed {len(pids)} workers")

    def control_c(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(patience) == 0, self.text
        assert not [pid for pid in re.findall(r"\(pid (\d+)\)", self.text) if alive(int(pid))]

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run(command, prints, folder, environment):
    process = subprocess.run(command, shell=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=patience, check=False)
    assert process.returncode == 0, f"{command}: status {process.returncode}\n{process.stdout}{process.stderr}"
    assert prints in process.stdout, f"{command} does not print {prints!r}:\n{process.stdout}"


def main():
    folder = temporary_folder()
    os.symlink(os.path.abspath(zef), os.path.join(folder, "zef"))
    environment = {**os.environ, "PATH": folder + os.pathsep + os.environ["PATH"]}
    terminal = Terminal(folder, environment)
    killed = False
    count = 0
    try:
        for commands in blocks():
            for command, prints in commands:
                print(command, flush=True)
                if command.startswith("zef net up"):
                    terminal.start(command, prints)
                else:
                    run(command, prints, folder, environment)
                count += 1
            if not killed and any("transfer" in command for command, _ in commands):
                terminal.kill_workers()
                killed = True
        assert killed and count >= 10, "README.md has lost its quick tour"
        terminal.control_c()
    finally:
        terminal.close()
        remove(folder)
    print(f"all {count} commands of the README's quick tour do what it says")


if __name__ == "__main__":
    main()
