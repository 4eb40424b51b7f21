// The wallet: its operations, its file, and what a crash leaves.
#include "client/wallet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/testing/temp_folder.h"
#include "client/database.h"
#include "client/testing/local_network.h"
#include "client/wallet_file.h"

namespace zef::client {
namespace {

using namespace testing;
using ::testing::HasSubstr;

crypto::SecretBytes passphrase(std::string_view text = "correct horse") {
  crypto::SecretBytes secret(text.size());
  std::ranges::copy(as_bytes(text), secret.data());
  return secret;
}

class Wallets : public ::testing::Test {
 protected:
  // Accounts [first], [first + 1], ... of the genesis, in a wallet of their own.
  void create(const std::string& name, std::uint64_t first, std::uint64_t count) {
    std::vector<NewAccount> accounts;
    for (std::uint64_t i = first; i < first + count; ++i)
      accounts.push_back({Uid::genesis(i), net.key(i),
                          genesis_chain(net.network.genesis(), net.network.network(), i, true),
                          "account " + std::to_string(i)});
    const auto created = Wallet::create(folder / name, net.network.id(), passphrase(), std::move(accounts),
                                        net.executor.wall_now(), crypto::seal_parameters_min);
    ASSERT_TRUE(created) << created.error().message;
  }
  std::unique_ptr<Wallet> open(const std::string& name, QuorumDriver* through = nullptr, bool unlocked = true) {
    auto wallet = Wallet::open(folder / name, net.executor, net.network.network());
    EXPECT_TRUE(wallet) << (wallet ? "" : wallet.error().message);
    if (!wallet) return nullptr;
    if (unlocked) EXPECT_TRUE((*wallet)->unlock(passphrase()));
    if (through) (*wallet)->connect(*through);
    return std::move(*wallet);
  }
  Error open_error(const std::string& name) {
    auto wallet = Wallet::open(folder / name, net.executor, net.network.network());
    EXPECT_FALSE(wallet);
    return wallet ? Error{} : wallet.error();
  }
  void expect_one_request_per_number() {
    for (auto& validator : net.validators) {
      for (const auto& [place, hashes] : validator->seen_orders())
        EXPECT_EQ(hashes.size(), 1U) << place.first.text() << " " << place.second.value();
      for (const auto& [place, hashes] : validator->voted()) EXPECT_EQ(hashes.size(), 1U);
    }
  }

  zef::testing::TempFolder folder;
  LocalNetwork net;
  std::unique_ptr<QuorumDriver> quorum = net.driver();
  const Uid a = Uid::genesis(0);
  const Uid b = Uid::genesis(1);
  const Uid c = Uid::genesis(2);
};

TEST_F(Wallets, keep_what_happened_over_a_restart) {
  create("w", 0, 2);
  {
    const auto wallet = open("w", quorum.get());
    const auto done = net.run(wallet->transfer(a, to(b, 300)));
    ASSERT_TRUE(done) << done.error().message;
  }
  const auto wallet = open("w", nullptr, false);  // looking needs no passphrase
  const auto view = wallet->account(a);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->chain.next, SequenceNumber(1));
  EXPECT_EQ(view->chain.balance, 999'700);
  EXPECT_EQ(view->label, "account 0");
  EXPECT_FALSE(view->pending);
  const auto history = wallet->history(a);
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 1U);
  EXPECT_TRUE(history->front().confirmed);
  EXPECT_EQ(history->front().amount, Amount(300));
  EXPECT_TRUE(wallet->find_proof(a, SequenceNumber(0)));
}

TEST_F(Wallets, a_locked_one_signs_nothing) {
  create("w", 0, 1);
  const auto wallet = open("w", quorum.get(), false);
  const auto refused = net.run(wallet->transfer(a, to(b, 300)));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("locked"));
  ASSERT_TRUE(net.run(wallet->sync(a)));  // that needs no key
  ASSERT_TRUE(wallet->unlock(passphrase()));
  ASSERT_TRUE(net.run(wallet->transfer(a, to(b, 300))));
}

TEST_F(Wallets, many_payments_from_many_accounts_share_commits_and_all_arrive) {
  create("w", 0, 8);
  const auto wallet = open("w", quorum.get());
  int done = 0;
  TaskScope scope;
  const auto pay_one = [](Wallet& from, Uid account, Uid recipient, int& count) -> Task<void> {
    const auto completed = co_await from.transfer(account, to(recipient, 1));
    EXPECT_TRUE(completed);
    ++count;
  };
  for (std::uint64_t i = 0; i < 100; ++i)
    scope.spawn(pay_one(*wallet, Uid::genesis(i % 8), Uid::genesis((i + 1) % 8), done));
  net.executor.run_while_not([&] { return done == 100; });
  EXPECT_TRUE(net.run(quorum->finish_background(std::chrono::seconds(60))));
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(net[i].digests(), net[0].digests());
  expect_one_request_per_number();
}

TEST_F(Wallets, open_a_child_and_use_it_with_its_own_key) {
  create("w", 0, 1);
  Uid child;
  {
    const auto wallet = open("w", quorum.get());
    const auto opened = net.run(wallet->open_account(a, Amount(500), "savings"));
    ASSERT_TRUE(opened) << opened.error().message;
    child = opened->uid;
  }
  const auto wallet = open("w", quorum.get());
  EXPECT_EQ(wallet->account(child)->label, "savings");
  EXPECT_TRUE(wallet->account(child)->announced);
  const auto paid = net.run(wallet->transfer(child, to(b, 500)));
  ASSERT_TRUE(paid) << paid.error().message;
  const auto closed = net.run(wallet->close(child, false));
  ASSERT_TRUE(closed) << closed.error().message;
  EXPECT_TRUE(wallet->account(child)->chain.closed);
}

TEST_F(Wallets, rotate_and_go_on_with_the_new_key_after_a_restart) {
  create("w", 0, 1);
  const PublicKey before = net.network.account_key(0).public_key();
  {
    const auto wallet = open("w", quorum.get());
    ASSERT_TRUE(net.run(wallet->rotate(a)));
  }
  const auto wallet = open("w", quorum.get());
  EXPECT_NE(wallet->account(a)->public_key, before);
  ASSERT_TRUE(net.run(wallet->transfer(a, to(b, 1))));
}

TEST_F(Wallets, give_an_account_to_another_wallet) {
  create("w", 0, 1);
  create("v", 1, 1);
  const auto giver = open("w", quorum.get());
  const auto other_quorum = net.driver();
  const auto taker = open("v", other_quorum.get());
  const auto key = taker->make_key();
  ASSERT_TRUE(key);
  ASSERT_TRUE(net.run(giver->give(a, *key)));
  EXPECT_FALSE(giver->account(a)->owned);
  const auto refused = net.run(giver->transfer(a, to(b, 1)));
  ASSERT_FALSE(refused);
  const auto adopted = net.run(taker->adopt(a, "gift"));
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_TRUE(adopted->owned);
  const auto paid = net.run(taker->transfer(a, to(b, 1)));
  ASSERT_TRUE(paid) << paid.error().message;
}

TEST_F(Wallets, give_an_account_to_another_key_of_the_same_wallet) {
  create("w", 0, 1);
  const auto wallet = open("w", quorum.get());
  const auto key = wallet->make_key();
  ASSERT_TRUE(key);
  ASSERT_TRUE(net.run(wallet->give(a, *key)));
  EXPECT_TRUE(wallet->account(a)->owned);
  ASSERT_TRUE(net.run(wallet->transfer(a, to(b, 1))));
}

TEST_F(Wallets, receive_an_unconfirmed_payment_by_its_certificate) {
  create("w", 0, 1);
  create("v", 1, 1);
  const auto payer = open("w", quorum.get());
  const auto other_quorum = net.driver();
  const auto payee = open("v", other_quorum.get());
  const auto proof = net.run(payer->transfer_unconfirmed(a, to(b, 70)));
  ASSERT_TRUE(proof);
  EXPECT_FALSE(payer->history(a)->front().confirmed);
  EXPECT_EQ(net[0].account(b)->balance, 1'000'000);
  ASSERT_TRUE(net.run(payee->receive(*proof)));
  EXPECT_EQ(net[0].account(b)->balance, 1'000'070);
  const auto history = payee->history(b);
  ASSERT_EQ(history->size(), 1U);
  EXPECT_EQ(history->front().sender, a);
  EXPECT_EQ(history->front().amount, Amount(70));
  ASSERT_TRUE(net.run(payer->transfer(a, to(b, 1))));
  EXPECT_EQ(payer->history(a)->size(), 2U);
  for (const auto& entry : *payer->history(a)) EXPECT_TRUE(entry.confirmed);
}

// ---- synchronising
// ---------------------------------------------------------------------------------------------------

TEST_F(Wallets, synchronising_takes_over_credits_with_their_certificates) {
  create("v", 1, 1);
  const auto wallet = open("v", quorum.get());
  const auto alice = net.account(*quorum, 0);
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(net.run(alice->transfer(to(b, 10))));  // more than one page
  const auto report = net.run(wallet->sync(b));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->received, 9U);
  EXPECT_EQ(report->unverified, 0U);
  EXPECT_EQ(report->balance, 1'000'090);
  EXPECT_EQ(wallet->history(b)->size(), 9U);
  EXPECT_EQ(wallet->account(b)->chain.balance, 1'000'090);
  EXPECT_EQ(net.run(wallet->sync(b))->received, 0U);  // nothing twice
}

TEST_F(Wallets, the_cursor_does_not_move_past_a_credit_that_is_not_certified) {
  create("v", 1, 1);
  const auto wallet = open("v", quorum.get());
  const auto alice = net.account(*quorum, 0);
  net[0].set_fault(Fault::inventing);  // its list begins with a lie
  ASSERT_TRUE(net.run(alice->transfer(to(b, 10))));
  const auto report = net.run(wallet->sync(b));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->received, 1U);  // from the others
  EXPECT_EQ(report->unverified, 1U);
  EXPECT_EQ(report->balance, 1'000'010);
  // Until the lie turns out true it is looked at again each time.
  EXPECT_EQ(net.run(wallet->sync(b))->unverified, 1U);
  net[0].set_fault(Fault::none);
  EXPECT_EQ(net.run(wallet->sync(b))->unverified, 0U);
}

TEST_F(Wallets, synchronising_shows_what_a_copy_of_the_wallet_did) {
  create("w", 0, 1);
  std::filesystem::copy_file(folder / "w", folder / "copy");
  std::filesystem::permissions(folder / "copy", std::filesystem::perms(0600));
  const auto wallet = open("w", quorum.get());
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(net.run(wallet->transfer(a, to(b, 1))));
  const auto other_quorum = net.driver();
  const auto copy = open("copy", other_quorum.get());
  const auto report = net.run(copy->sync(a));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->executed, 6U);
  EXPECT_EQ(copy->history(a)->size(), 6U);
  ASSERT_TRUE(net.run(copy->transfer(a, to(b, 1))));
  expect_one_request_per_number();
}

// ---- crashes
// ---------------------------------------------------------------------------------------------------------

Task<void> transfer_some(Wallet& wallet) {
  static_cast<void>(co_await wallet.transfer(Uid::genesis(0), to(Uid::genesis(1), 300)));
}
Task<void> open_one(Wallet& wallet) { static_cast<void>(co_await wallet.open_account(Uid::genesis(0), Amount(300))); }
Task<void> rotate_one(Wallet& wallet) { static_cast<void>(co_await wallet.rotate(Uid::genesis(0))); }
Task<void> close_one(Wallet& wallet) { static_cast<void>(co_await wallet.close(Uid::genesis(0), true)); }

Task<void> note_end(Task<void> task, bool& ended) {
  co_await std::move(task);
  ended = true;
}

class Crashes : public ::testing::TestWithParam<Task<void> (*)(Wallet&)> {};

// Every callback of the executor is a place to die at: what the wallet had committed is all that is left of it.
TEST_P(Crashes, at_every_step_leave_a_wallet_that_finishes_and_signs_nothing_twice) {
  // Networks of one seed are the same network: one new wallet serves as the beginning of every run.
  zef::testing::TempFolder origin;
  {
    LocalNetwork net({.validators = 4, .accounts = 4});
    std::vector<NewAccount> accounts;
    accounts.push_back(
        {Uid::genesis(0), net.key(0), genesis_chain(net.network.genesis(), net.network.network(), 0, true), ""});
    ASSERT_TRUE(Wallet::create(origin / "w", net.network.id(), passphrase(), std::move(accounts),
                               net.executor.wall_now(), crypto::seal_parameters_min));
  }
  bool ended = false;
  for (std::size_t steps = 0; !ended; ++steps) {
    zef::testing::TempFolder folder;
    std::filesystem::copy_file(origin / "w", folder / "w");
    LocalNetwork net({.validators = 4, .accounts = 4});
    const auto reopen = [&](QuorumDriver& quorum) {
      auto wallet = Wallet::open(folder / "w", net.executor, net.network.network());
      ZEF_CHECK(wallet);
      ZEF_CHECK((*wallet)->unlock(passphrase()));
      (*wallet)->connect(quorum);
      return std::move(*wallet);
    };
    {
      auto quorum = net.driver();
      auto wallet = reopen(*quorum);
      TaskScope scope;
      scope.spawn(note_end(GetParam()(*wallet), ended));
      std::size_t left = steps;
      net.executor.run_while_not([&] { return ended || left-- == 0; });
      scope.clear();
    }
    const auto quorum = net.driver();
    const auto wallet = reopen(*quorum);
    const auto finished = net.run(wallet->finish_pending());
    ASSERT_TRUE(finished) << "after " << steps << " steps: " << finished.error().message;
    EXPECT_FALSE(wallet->account(Uid::genesis(0))->pending);
    ASSERT_TRUE(net.run(wallet->sync(Uid::genesis(0))));
    const AccountView view = *wallet->account(Uid::genesis(0));
    const auto summary = net.run(quorum->query_account(Uid::genesis(0)));
    ASSERT_TRUE(summary);
    EXPECT_EQ(view.chain.next, summary->next) << "after " << steps << " steps";
    EXPECT_EQ(view.chain.head, summary->head);
    EXPECT_EQ(view.chain.balance, summary->balance);
    for (const AccountView& account : *wallet->accounts()) EXPECT_TRUE(account.announced);
    if (!view.chain.closed) {
      // What was opened or rotated has its key, and everything goes on.
      for (const AccountView& account : *wallet->accounts()) {
        const auto paid = net.run(wallet->transfer(account.uid, to(Uid::genesis(1), 1)));
        ASSERT_TRUE(paid) << "after " << steps << " steps: " << paid.error().message;
      }
    }
    for (auto& validator : net.validators) {
      for (const auto& [place, hashes] : validator->seen_orders()) ASSERT_EQ(hashes.size(), 1U) << steps << " steps";
      EXPECT_EQ(validator->totals().conflicts, 0U);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, Crashes, ::testing::Values(&transfer_some, &open_one, &rotate_one, &close_one));

TEST_F(Wallets, a_second_request_for_a_number_is_refused_by_the_file_itself) {
  create("w", 0, 1);
  {
    const auto wallet = open("w", quorum.get());
    net.set_away(0, true);
    net.set_away(1, true);
    ASSERT_FALSE(net.run(wallet->transfer(a, to(b, 300))));  // pending
  }
  auto database = Database::open(folder / "w");
  ASSERT_TRUE(database);
  const auto second =
      (*database)->run("INSERT INTO requests SELECT uid, number, x'00', x'00', NULL, 0, 0 FROM requests");
  EXPECT_FALSE(second);
}

TEST_F(Wallets, a_pending_request_is_finished_before_the_next) {
  create("w", 0, 1);
  {
    const auto wallet = open("w", quorum.get());
    net.set_away(0, true);
    net.set_away(1, true);
    const auto failed = net.run(wallet->transfer(a, to(b, 300)));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind, FailureKind::unavailable);
  }
  net.set_away(0, false);
  net.set_away(1, false);
  const auto fresh = net.driver();
  const auto wallet = open("w", fresh.get());
  EXPECT_TRUE(wallet->account(a)->pending);
  ASSERT_TRUE(net.run(wallet->transfer(a, to(c, 1))));
  EXPECT_EQ(net[0].account(b)->balance, 1'000'300);
  EXPECT_EQ(net[0].account(c)->balance, 1'000'001);
}

// ---- the file
// --------------------------------------------------------------------------------------------------------

TEST_F(Wallets, of_another_network_are_refused) {
  create("w", 0, 1);
  LocalNetwork other({.seed = 9});
  const auto wallet = Wallet::open(folder / "w", other.executor, other.network.network());
  ASSERT_FALSE(wallet);
  EXPECT_EQ(wallet.error().kind, ErrorKind::refused);
  EXPECT_THAT(wallet.error().message, HasSubstr(other.network.id().hex()));
}

TEST_F(Wallets, a_wrong_passphrase_is_refused) {
  create("w", 0, 1);
  const auto wallet = open("w", nullptr, false);
  const auto unlocked = wallet->unlock(passphrase("wrong"));
  ASSERT_FALSE(unlocked);
  EXPECT_EQ(unlocked.error().kind, ErrorKind::refused);
  EXPECT_THAT(unlocked.error().message, HasSubstr("passphrase"));
}

TEST_F(Wallets, only_one_process_has_it_open) {
  create("w", 0, 1);
  int ready[2];
  int quit[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(quit), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto wallet = Wallet::open(folder / "w", net.executor, net.network.network());
    char byte = wallet ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    ::close(quit[1]);
    static_cast<void>(::read(quit[0], &byte, 1));
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  const Error error = open_error("w");
  EXPECT_EQ(error.kind, ErrorKind::refused);
  EXPECT_THAT(error.message, HasSubstr("process " + std::to_string(child)));
  for (const int end : {ready[0], ready[1], quit[0], quit[1]}) ::close(end);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(open("w"));  // free again, though it was not closed in order
}

TEST_F(Wallets, never_replace_a_file) {
  create("w", 0, 1);
  const auto again = Wallet::create(folder / "w", net.network.id(), passphrase(), {}, net.executor.wall_now(),
                                    crypto::seal_parameters_min);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::refused);
}

TEST_F(Wallets, readable_by_others_are_refused) {
  create("w", 0, 1);
  struct stat info{};
  ASSERT_EQ(::stat((folder / "w").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::chmod((folder / "w").c_str(), 0644), 0);
  EXPECT_THAT(open_error("w").message, HasSubstr("chmod 600"));
}

TEST_F(Wallets, missing_or_foreign_files_are_told_apart) {
  EXPECT_EQ(open_error("none").kind, ErrorKind::not_found);
  std::ofstream(folder / "text") << "this is no database, but it is long enough to be read as one"
                                 << std::string(4096, 'x');
  ASSERT_EQ(::chmod((folder / "text").c_str(), 0600), 0);
  EXPECT_EQ(open_error("text").kind, ErrorKind::corrupt);
  std::ofstream(folder / "empty").close();
  ASSERT_EQ(::chmod((folder / "empty").c_str(), 0600), 0);
  EXPECT_EQ(open_error("empty").kind, ErrorKind::invalid_input);
}

TEST_F(Wallets, damaged_files_say_so) {
  create("w", 0, 4);
  std::fstream file(folder / "w", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(4096, '\xa5');
  file.close();
  const Error error = open_error("w");
  EXPECT_EQ(error.kind, ErrorKind::corrupt);
  EXPECT_THAT(error.message, HasSubstr("backup"));
}

TEST_F(Wallets, a_full_disk_fails_the_operation_before_anything_is_sent) {
  create("w", 0, 1);
  auto file = WalletFile::open(folder / "w", net.executor, net.network.id());
  ASSERT_TRUE(file);
  // The database's own limit gives the very error of a disk without room.
  ASSERT_TRUE((*file)->database().run("PRAGMA max_page_count = 1"));  // as many as there are
  const auto driver = net.account(*quorum, 0, file->get());
  const std::vector<Payment> many(256, to(b, 1).front());  // longer than a page
  const auto failed = net.run(driver->transfer(many));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, FailureKind::storage);
  EXPECT_THAT(failed.error().message, HasSubstr("no room left"));
  EXPECT_FALSE(driver->pending());
  for (auto& validator : net.validators) EXPECT_TRUE(validator->seen_orders().empty());
  ASSERT_TRUE((*file)->database().run("PRAGMA max_page_count = 100000"));
  ASSERT_TRUE(net.run(driver->transfer(many)));
}

TEST_F(Wallets, no_key_stands_in_the_file_in_clear) {
  create("w", 0, 1);
  std::ifstream in(folder / "w", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(content.find(as_text(net.network.account_key(0).seed())), std::string::npos);
  EXPECT_NE(content.find(as_text(net.network.account_key(0).public_key().view())), std::string::npos);
}

TEST_F(Wallets, exported_keys_open_elsewhere) {
  create("w", 0, 1);
  create("v", 1, 1);
  const auto wallet = open("w");
  const auto sealed = wallet->export_key(a, passphrase("for the journey"), crypto::seal_parameters_min);
  ASSERT_TRUE(sealed);
  auto key = crypto::open_sealed(*sealed, passphrase("for the journey"));
  ASSERT_TRUE(key);
  const auto other = open("v", quorum.get());
  ASSERT_TRUE(other->add_account(
      {a, std::move(*key), genesis_chain(net.network.genesis(), net.network.network(), 0), "imported"}));
  ASSERT_TRUE(net.run(other->transfer(a, to(b, 1))));
}

}  // namespace
}  // namespace zef::client
