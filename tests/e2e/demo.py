"""`zef demo`: every field of its figures, its words for people, what --keep leaves, and that nothing stays behind."""
import json
import os
import signal
import subprocess
import sys
import unittest

from support import Server, alive, remove, run, temporary_folder, wait_until, zef

checks = ["ok", "supply_ok", "heads_equal", "balances_equal", "nothing_lost", "quiet", "payment_ok", "batch_ok",
          "child_ok", "rotation_ok", "double_spend_refused", "swap_ok", "settlement_ok", "way_out_ok",
          "validator_down_ok", "killed_worker_ok"]


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder()
        self.addCleanup(remove, self.folder)
        self.environment = {**os.environ, "TMPDIR": self.folder}

    def check_figures(self, figures, payments):
        for name in checks:
            self.assertIs(figures[name], True, f"{name}: {figures}")
        self.assertEqual(figures["problems"], [])
        self.assertEqual(figures["payments"], payments)
        self.assertGreater(figures["operations"], payments)  # there are others, too
        self.assertEqual((figures["validators"], figures["workers"], figures["killed"]), (4, 2, 1))
        self.assertEqual((figures["swaps"], figures["settlements"]), (1, 1))
        self.assertGreater(figures["accounts"], 50)
        self.assertGreater(figures["seconds"], figures["payments_seconds"])
        self.assertGreater(figures["payments_seconds"], 0)

    def test_shows_all_and_leaves_nothing(self):
        process = subprocess.run([zef, "demo", "--json", "--payments", "300"], env=self.environment, text=True,
                                 stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        self.assertEqual(process.stdout.count("\n"), 1)
        self.check_figures(json.loads(process.stdout), 300)
        self.assertIn("A network of 4 validators, each a balancer and 2 workers", process.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_keeps_a_network_until_a_signal(self):
        demo = Server("demo", "--json", "--keep", "--payments", "3", env=self.environment,
                      err=os.path.join(self.folder, "err"))
        self.addCleanup(demo.kill)
        figures = demo.ready()
        self.check_figures(figures, 3)
        net = figures["dir"]
        processes = children_of(demo.process.pid)
        self.assertEqual(len(processes), 16)  # of each validator: 2 workers, balancer, controller
        paid = run("wallet", "transfer", "0", "1", "1000", "--dir", net)
        self.assertEqual(paid.status, 0, paid)
        # The same command for people, ended by the other signal: it goes on from the folder that is left.
        self.assertEqual(demo.stop(signal.SIGINT), 0, demo.errors())
        wait_until(lambda: not any(map(alive, processes)), "all processes have ended")
        network = Server("net", "up", "--dir", net, "--json", err=os.path.join(self.folder, "err"))
        self.addCleanup(network.kill)
        self.assertIs(network.ready()["new"], False)
        processes = children_of(network.process.pid)
        self.assertEqual(network.stop(signal.SIGTERM), 0, network.errors())
        wait_until(lambda: not any(map(alive, processes)), "all processes have ended")

    def test_interrupted_demo_leaves_nothing(self):
        for how in (signal.SIGINT, signal.SIGTERM):
            demo = Server("demo", env=self.environment)
            self.addCleanup(demo.kill)
            processes = wait_until(lambda: children_of(demo.process.pid), "it starts processes")
            status = demo.stop(how)
            self.assertNotEqual(status, 0)
            self.assertGreater(status, 0)
            wait_until(lambda: not any(map(alive, processes)), "all processes have ended")
            self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
