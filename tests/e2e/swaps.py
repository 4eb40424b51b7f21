"""Swaps and settlements by wallets as separate processes, each with a file of its own, on a network of processes.

Run one class with `swaps.py Agreed`, one case with `swaps.py Trouble.test_...`.
"""
import json
import os
import random
import signal
import subprocess
import sys
import unittest

from support import Network, Outcome, done, patience, remove, run, temporary_folder, wait_until, zef

failed, usage, unavailable = 1, 2, 3
funding = 1_000_000


class Person:
    """Somebody with a wallet file, an account in it, and nothing else."""

    def __init__(self, network, folder, name):
        self.network, self.name = network, name
        self.file = os.path.join(folder, name + ".sqlite")
        self.genesis = os.path.join(network.dir, "genesis.json")
        self.passphrase = os.path.join(network.dir, "passphrase")
        done("wallet", "create", "--wallet", self.file, "--genesis", self.genesis, "--passphrase-file", self.passphrase)
        key = self.do("key")["public_key"]
        opened = network.wallet("open", "0", "--funding", funding, "--owner", key)
        assert opened.status == 0, opened
        self.account = opened.json["new_account"]
        self.do("adopt", self.account)

    def arguments(self, *arguments):
        # The flags belong to the innermost command: behind "swap accept", but before a list.
        return ["wallet", *map(str, arguments), "--wallet", self.file, "--genesis", self.genesis, "--network",
                os.path.join(self.network.dir, "network.json"), "--passphrase-file", self.passphrase, "--json"]

    def run(self, *arguments):
        return run(*self.arguments(*arguments))

    def do(self, *arguments):
        outcome = self.run(*arguments)
        assert outcome.status == 0, f"{self.name}: {' '.join(map(str, arguments))}: {outcome}"
        return outcome.json

    def start(self, *arguments):
        """The same as a process that goes on by itself."""
        return subprocess.Popen([zef, *self.arguments(*arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def accept(self, kind, instance, *more, account=None):
        return self.start(kind, "accept", instance, "--account", account or self.account, "--yes", "--time-limit",
                          patience, *more)

    def lock(self, kind, instance):
        return self.do(kind, "accept", instance, "--account", self.account, "--yes", "--no-wait")

    def status(self, instance):
        return self.do("swap", "status", instance)

    def shown(self, account=None):
        return self.do("show", account or self.account)["accounts"][0]

    def balance(self, account=None):
        return int(self.shown(account)["balance"])


def end_of(process):
    try:
        out, err = process.communicate(timeout=2 * patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"{process.args} does not end") from None
    return Outcome(subprocess.CompletedProcess(process.args, process.returncode, out, err))


def kill(process):
    if process.poll() is None:
        process.kill()
        process.communicate()


class Cases(unittest.TestCase):
    people_count = 0

    @classmethod
    def setUpClass(cls):
        cls.folder = temporary_folder()
        cls.addClassCleanup(remove, cls.folder)
        cls.network = Network(cls.folder, "--accounts", "3", "--balance", "1000000000")
        cls.addClassCleanup(cls.network.kill)
        cls.count = 0

    def people(self, count):
        """New ones: no case depends on another."""
        made = []
        for _ in range(count):
            Cases.people_count += 1
            made.append(Person(self.network, self.folder, f"person-{Cases.people_count}"))
        return made

    def locked(self, person, instance):
        return {party["account"] for party in person.status(instance)["parties"] if party["locked"]}

    def wait_until_locked(self, watcher, instance, account):
        wait_until(lambda: account in self.locked(watcher, instance), f"account {account} is locked")

    def check_decided(self, outcome, state, ok=True):
        self.assertEqual(outcome.status, 0 if ok else failed, outcome)
        self.assertEqual((outcome.json["state"], outcome.json["finished"], outcome.json["ok"]), (state, True, ok))
        return outcome.json

    def check_free(self, person, account=None):
        """The account is this wallet's and can pay."""
        self.assertIsNone(person.shown(account)["locked_into"])
        self.assertEqual(person.do("transfer", account or person.account, "0", "1")["ok"], True)

    def refused(self, outcome, status, *words):
        self.assertEqual(outcome.status, status, outcome)
        for word in words:
            self.assertIn(word, outcome.err)


class Agreed(Cases):
    """All want it, or somebody is told what is wrong."""

    def test_swap_of_two_exchanges_their_accounts(self):
        alice, bob = self.people(2)
        bob.do("transfer", bob.account, "0", "250000")
        bobs_money = bob.balance()
        proposed = alice.do("swap", "propose", alice.account, bob.account)
        instance = proposed["instance"]
        self.assertEqual(proposed["accounts"], [alice.account, bob.account])
        # All that Bob hears of is the number.
        seen = bob.status(instance)
        self.assertEqual((seen["kind"], seen["state"], seen["steps"]), ("swap", "open", ["accept"]))
        self.assertEqual([(share["account"], share["receives"]) for share in seen["shares"]],
                         [(bob.account, alice.account)])
        self.assertEqual(sorted(seen["waits_for"]), sorted([alice.account, bob.account]))
        first = alice.accept("swap", instance, "--at-least", bobs_money)
        self.addCleanup(kill, first)
        self.wait_until_locked(bob, instance, alice.account)
        self.assertEqual(bob.status(instance)["waits_for"], [bob.account])
        second = bob.accept("swap", instance)
        self.addCleanup(kill, second)
        ended = self.check_decided(end_of(first), "confirmed")
        self.assertEqual((ended["given"], ended["received"]), ([alice.account], [bob.account]))
        self.check_decided(end_of(second), "confirmed")
        self.check_free(alice, bob.account)
        self.check_free(bob, alice.account)
        self.refused(alice.run("transfer", alice.account, "0", "1"), usage, "no key here")
        # Once more changes nothing, and who comes late is told.
        self.check_decided(end_of(alice.accept("swap", instance)), "confirmed")
        self.refused(alice.run("swap", "abort", instance, "--time-limit", "30"), failed, "too late to abort")
        self.assertEqual(bob.status(instance)["state"], "confirmed")
        listed = bob.do("swap", "status")["instances"]
        self.assertEqual([(one["instance"], one["state"], one["finished"]) for one in listed],
                         [(instance, "confirmed", True)])

    def test_settlement_of_five_pays_all_or_nothing(self):
        everybody = self.people(5)
        accounts = [person.account for person in everybody]
        # Each pays the next one, and the first pays all.
        legs = [(accounts[i], accounts[(i + 1) % 5], 1000 * (i + 1)) for i in range(5)]
        legs += [(accounts[0], other, 77) for other in accounts[2:]]
        instance = everybody[0].do("settle", "propose", "--leg", *(f"{a}:{b}:{n}" for a, b, n in legs))["instance"]
        before = [person.balance() for person in everybody]
        share = everybody[3].status(instance)["shares"][0]
        self.assertEqual((share["pays"], share["gets"]), ("4000", str(3000 + 77)))
        processes = [person.accept("settle", instance) for person in everybody]
        for process in processes:
            self.addCleanup(kill, process)
        for process in processes:
            self.check_decided(end_of(process), "confirmed")
        for person, had in zip(everybody, before):
            gets = sum(n for _, to, n in legs if to == person.account)
            pays = sum(n for source, _, n in legs if source == person.account)
            wait_until(lambda: had + gets - pays - 20_000 <= person.balance() < had + gets - pays,
                       f"{person.name} holds what the settlement says, without the fee")
            self.check_free(person)

    def test_what_makes_no_sense_is_refused(self):
        alice, bob, stranger = self.people(3)
        for words in (["abc"], ["7"], ["9999/0"], [alice.account]):
            self.refused(alice.run("swap", "accept", *words, "--account", alice.account, "--yes"), usage)
        self.refused(alice.run("swap", "propose", alice.account, alice.account), usage, "named twice")
        self.refused(alice.run("swap", "propose", alice.account, "9999"), usage)
        self.refused(alice.run("swap", "propose", bob.account, alice.account), usage)
        self.refused(alice.run("settle", "propose", "--leg", f"{alice.account}:{bob.account}:5"), usage,
                     "zef wallet transfer")
        self.refused(alice.run("settle", "propose", "--leg", "1:2"), usage, "FROM:TO:AMOUNT")
        instance = alice.do("swap", "propose", alice.account, bob.account)["instance"]
        accept = ["swap", "accept", instance, "--account"]
        self.refused(alice.run(*accept, alice.account), usage, "--yes")
        self.refused(stranger.run(*accept, stranger.account, "--yes"), usage, "does not take part")
        self.refused(alice.run(*accept, bob.account, "--yes"), failed, "does not belong to this wallet")
        self.refused(alice.run("settle", "accept", instance, "--account", alice.account, "--yes"), usage,
                     "use 'zef wallet swap'")
        self.refused(alice.run("swap", "abort", instance), usage, "nothing to get out of")
        self.refused(alice.run(*accept, alice.account, "--yes", "--at-least", 2 * funding), failed, "less than")
        # Bob goes on without it: his account can never lock at that number, and nobody else locks any more.
        bob.do("transfer", bob.account, "0", "1")
        self.refused(alice.run(*accept, alice.account, "--yes"), failed, "has gone on")
        self.check_free(alice)
        self.refused(stranger.run("swap", "status", stranger.account), usage)

    def test_decided_ones_are_joined_by_nobody(self):
        alice, bob = self.people(2)
        instance = alice.do("swap", "propose", alice.account, bob.account)["instance"]
        alice.lock("swap", instance)
        self.assertEqual(alice.shown()["locked_into"], instance)
        self.check_decided(alice.run("swap", "abort", instance), "aborted")
        self.check_free(alice)
        self.refused(bob.run("swap", "accept", instance, "--account", bob.account, "--yes"), usage, "aborted already")
        self.check_free(bob)

    def test_a_locked_account_waits_and_says_for_whom(self):
        alice, bob = self.people(2)
        instance = alice.do("swap", "propose", alice.account, bob.account)["instance"]
        waiting = alice.run("swap", "accept", instance, "--account", alice.account, "--yes", "--time-limit", "1")
        self.refused(waiting, unavailable, "still open", "swap abort " + instance)
        seen = alice.status(instance)
        self.assertEqual(seen["waits_for"], [bob.account])
        self.assertIn("abort", seen["steps"])
        self.assertTrue(any(f"swap abort {instance}" in command for command in seen["next"]), seen)
        self.assertNotEqual(alice.run("transfer", alice.account, "0", "1").status, 0)
        bob.lock("swap", instance)
        self.check_decided(end_of(alice.accept("swap", instance)), "confirmed")
        self.check_decided(end_of(bob.accept("swap", instance)), "confirmed")


class Trouble(Cases):
    """Somebody vanishes, and processes are killed."""

    def settlement(self, people):
        accounts = [person.account for person in people]
        legs = [f"{accounts[i]}:{accounts[(i + 1) % len(accounts)]}:{1000 * (i + 1)}" for i in range(len(accounts))]
        return people[0].do("settle", "propose", "--leg", *legs)["instance"]

    def killed_after_locking(self, person, instance, watcher):
        process = person.accept("settle", instance)
        self.addCleanup(kill, process)
        self.wait_until_locked(watcher, instance, person.account)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGKILL)

    def test_others_get_out_when_one_vanishes_after_locking(self):
        alice, bob, carol, late = self.people(4)
        instance = self.settlement([alice, bob, carol, late])
        alice.lock("settle", instance)
        self.killed_after_locking(carol, instance, alice)
        bob.lock("settle", instance)
        # The last one never comes, and Carol is gone.
        self.check_decided(alice.run("settle", "abort", instance, "--time-limit", patience), "aborted")
        self.check_decided(bob.run("settle", "abort", instance, "--time-limit", patience), "aborted")
        self.check_free(alice)
        self.check_free(bob)
        # She comes back, wants to confirm, and finds that it is aborted and her account her own.
        self.check_decided(end_of(carol.accept("settle", instance)), "aborted", ok=False)
        self.check_free(carol)
        self.check_free(late)

    def test_others_confirm_when_one_vanishes_after_all_have_locked(self):
        alice, bob, carol = self.people(3)
        instance = self.settlement([alice, bob, carol])
        alice.lock("settle", instance)
        bob.lock("settle", instance)
        carol.lock("settle", instance)  # and she is never heard of again, for a while
        self.check_decided(end_of(alice.accept("settle", instance)), "confirmed")
        self.check_decided(end_of(bob.accept("settle", instance)), "confirmed")
        self.check_free(bob)
        self.check_decided(end_of(carol.accept("settle", instance)), "confirmed")
        self.check_free(carol)

    def test_workers_killed_in_the_middle_of_a_settlement_change_nothing(self):
        everybody = self.people(3)
        instance = self.settlement(everybody)
        processes = []
        for number, person in enumerate(everybody):
            process = person.accept("settle", instance)
            self.addCleanup(kill, process)
            processes.append(process)
            if number < 2:
                self.wait_until_locked(everybody[2], instance, person.account)
        # All have locked or are about to: one worker of each validator dies now.
        for validator in self.network.line["validators"]:
            os.kill(validator["workers"][0]["pid"], signal.SIGKILL)
        for process in processes:
            self.check_decided(end_of(process), "confirmed")
        done("net", "wait", "--dir", self.network.dir)
        for person in everybody:
            self.check_free(person)

    def end_or_kill(self, process, after):
        """Its outcome; nothing if it was killed (-9) because it had not ended by then."""
        self.addCleanup(kill, process)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            kill(process)
            return None
        return end_of(process)

    def test_wallet_killed_at_any_point_of_accepting_goes_on(self):
        seed = int(os.environ.get("ZEF_SEED", "1"))
        dice = random.Random(seed)
        kills = 0
        for others_first in (True, False):
            alice, bob = self.people(2)
            instance = alice.do("swap", "propose", alice.account, bob.account)["instance"]
            other = bob.accept("swap", instance) if others_first else None
            outcome, patient = None, 0.1
            while not outcome:
                # Without the other one it waits until it is killed; then he comes.
                if not other and patient > 0.8:
                    other = bob.accept("swap", instance)
                outcome = self.end_or_kill(alice.accept("swap", instance), dice.uniform(0, patient))
                kills += outcome is None
                patient += 0.2
            self.check_decided(outcome, "confirmed")
            self.addCleanup(kill, other)
            self.check_decided(end_of(other), "confirmed")
            self.check_free(alice, bob.account)
            self.check_free(bob, alice.account)
        self.assertGreater(kills, 0)
        print(f"seed {seed}: killed {kills} times", file=sys.stderr)

    def test_wallet_killed_at_any_point_of_aborting_goes_on(self):
        dice = random.Random(int(os.environ.get("ZEF_SEED", "1")))
        alice, bob = self.people(2)
        instance = alice.do("swap", "propose", alice.account, bob.account)["instance"]
        alice.lock("swap", instance)
        outcome, patient = None, 0.1
        while not outcome:
            outcome = self.end_or_kill(alice.start("swap", "abort", instance, "--time-limit", patience),
                                       dice.uniform(0, patient))
            patient += 0.1
        self.check_decided(outcome, "aborted")
        self.check_free(alice)
        self.check_free(bob)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
