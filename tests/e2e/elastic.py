"""Workers come, go and die: drills on a store of files, and what operators look at and do (zef status, workers, shards)."""
import os
import sys
import unittest

from support import Server, done, remove, run, temporary_folder, wait_until


class Drills(unittest.TestCase):
    def drill(self, *arguments):
        """Runs a drill, whose own verdict is its exit status."""
        outcome = run("drill", *arguments, "--json")
        self.assertEqual(outcome.status, 0, str(outcome))
        report = outcome.json
        self.assertGreater(report["acknowledged"], 100)
        for figure in ("lost", "duplicated", "client_errors"):
            self.assertEqual(report[figure], 0, report)
        self.assertIs(report["supply_ok"], True)
        self.assertGreater(len(report["timeline"]), 0)
        return report

    def test_crash(self):
        report = self.drill("crash", "--times", "1", "--rate", "40", "--accounts", "32")
        self.assertEqual(report["killed"], 1)

    def test_move(self):
        self.assertEqual(self.drill("move", "--rate", "40", "--accounts", "32")["shards_moved"], 1024)

    def test_scale(self):
        report = self.drill("scale", "--rate", "25", "--accounts", "32")
        self.assertEqual(report["grown_to"], 4)
        self.assertLess(report["first_new_worker_serves_s"], 10)

    def test_zombie(self):
        report = self.drill("zombie", "--rate", "40")
        self.assertGreater(report["orders_sent_to_the_zombie"], 0)
        self.assertEqual(report["votes_of_the_zombie"], 0)


class Operators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = temporary_folder()
        cls.addClassCleanup(remove, cls.folder)
        cls.net = os.path.join(cls.folder, "net")
        server = Server("net", "up", "--dir", cls.net, "--workers", "2..4", "--accounts", "20", "--json",
                        err=os.path.join(cls.folder, "err"))
        cls.addClassCleanup(server.kill)
        cls.ready = server.ready()

    def status(self):
        return done("status", "--dir", self.net, "--json").json

    def workers(self):
        return {worker["name"]: worker for worker in self.status()["workers"]}

    def test_1_status_says_who_serves_what(self):
        wait_until(lambda: self.status()["controller"] != "", "a controller leads")
        status = self.status()
        self.assertEqual([worker["name"] for worker in status["workers"]], ["w0", "w1"])
        self.assertEqual(sum(worker["shards"] for worker in status["workers"]), 1024)
        self.assertEqual(status["orphaned_shards"], 0)
        for worker in status["workers"]:
            self.assertEqual(worker["state"], "serves")
            self.assertGreater(worker["memory_bytes"], 1_000_000)
            self.assertGreater(worker["store"]["puts"], 0)
            self.assertEqual(worker["store"]["hedged_gets"], 0)  # nothing is hedged on a disk
        self.assertIn("w1", done("workers", "list", "--dir", self.net).out)
        self.assertIn("controller:", done("status", "--dir", self.net, "--once").out)

    def test_2_a_worker_is_added_and_gets_shards(self):
        self.assertIn("3 workers instead of 2", done("workers", "add", "--dir", self.net).out)
        wait_until(lambda: self.workers().get("w2", {}).get("shards", 0) > 0, "w2 serves")

    def test_3_shards_move_where_they_are_sent(self):
        target = "w2"  # the newest, which has the least: the controller takes nothing from it
        done("shards", "move", "0-3,17", "--to", target, "--dir", self.net)
        shards = {shard["shard"]: shard for shard in done("shards", "list", "--dir", self.net, "--json").json["shards"]}
        self.assertEqual(len(shards), 1024)
        for shard in (0, 1, 2, 3, 17):
            self.assertEqual(shards[shard]["owner"], target)
        self.assertIn("5 were there already", done("shards", "move", "0-3,17", "--to", target, "--dir", self.net).out)

    def test_4_a_drained_worker_is_emptied_and_ended(self):
        done("workers", "drain", "w2", "--dir", self.net)
        wait_until(lambda: "w2" not in self.workers(), "w2 has ended")
        self.assertEqual(sum(worker["shards"] for worker in self.workers().values()), 1024)
        self.assertIn("executed by", done("wallet", "transfer", "0", "1", "10", "--dir", self.net).out)

    def test_5_bad_input_says_what_to_do(self):
        for arguments, word in ((("shards", "move", "1-9999", "--to", "w0"), "names no shards"),
                                (("shards", "move", "3", "--to", "w77"), "those that are: w0, w1"),
                                (("workers", "drain", "w77"), "those that are: w0, w1"),
                                (("status", "--validator", "9"), "validators 0 to 3")):
            outcome = run(*arguments, "--dir", self.net)
            self.assertNotEqual(outcome.status, 0, arguments)
            self.assertIn(word, outcome.err)
        for arguments, word in ((("status",), "--dir"), (("status", "--dir", self.folder), "there is no network in"),
                                (("drill", "store-outage", "--store-pid", "1"), "--store"),
                                (("net", "up", "--dir", self.net + "2", "--workers", "4..2"), "2 workers at most: choose 4 to"),
                                (("net", "up", "--dir", self.net + "2", "--workers", "many"), "like 2..6")):
            outcome = run(*arguments)
            self.assertEqual(outcome.status not in (0, 1), True, f"{arguments} {outcome}")
            self.assertIn(word, outcome.err)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
