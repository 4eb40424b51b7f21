#include "codec/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace somewhere::else_entirely {

template <class T>
struct Box {
  T content{};
  static constexpr auto fields = zef::codec::fields<&Box::content>;
};

struct Outer {
  struct Inner {
    std::uint8_t deep_value = 0;
    static constexpr auto fields = zef::codec::fields<&Inner::deep_value>;
  };
};

}  // namespace somewhere::else_entirely

namespace zef::codec {
namespace {

using somewhere::else_entirely::Box;
using somewhere::else_entirely::Outer;

using Amount = Strong<struct AmountTag, std::uint64_t, (1ULL << 63) - 1>;
using Id = FixedBytes<struct IdTag, 4>;

// A type with a text form of its own.
struct Path {
  std::vector<std::uint8_t> steps;
  friend bool operator==(const Path&, const Path&) = default;
  [[nodiscard]] std::string text() const {
    std::string joined;
    for (const auto step : steps) joined += "/" + std::to_string(step);
    return joined;
  }
  static std::optional<Path> parse(std::string_view text) {
    if (text != "/1/2") return std::nullopt;
    return Path{{1, 2}};
  }
};

struct Burn {
  static constexpr auto fields = codec::fields<>;
  friend bool operator==(const Burn&, const Burn&) = default;
};
struct Account {
  Path uid;
  static constexpr auto fields = codec::fields<&Account::uid>;
  friend bool operator==(const Account&, const Account&) = default;
};

struct Payment {
  std::variant<Burn, Account> recipient;
  Amount amount;
  Bounded<std::uint8_t, 0, 4> memo;
  friend bool operator==(const Payment&, const Payment&) = default;
  static constexpr auto fields = codec::fields<&Payment::recipient, &Payment::amount, &Payment::memo>;
};

struct Order {
  bool urgent = false;
  std::uint16_t small = 0;
  __int128 balance = 0;
  std::optional<Id> id;
  std::string note;
  Bounded<Payment, 1, 2> payments;
  std::pair<std::uint8_t, Id> pair;
  friend bool operator==(const Order&, const Order&) = default;
  static constexpr auto fields = codec::fields<&Order::urgent, &Order::small, &Order::balance, &Order::id, &Order::note,
                                               &Order::payments, &Order::pair>;
};

Order sample() {
  return {.urgent = true,
          .small = 65535,
          .balance = -5,
          .id = Id{{1, 2, 3, 4}},
          .note = "quote \" and\nline",
          .payments = {{Account{{{1, 2}}}, Amount(7), {0xab, 0xcd}}, {Burn{}, Amount(Amount::max), {}}},
          .pair = {9, {{5, 6, 7, 8}}}};
}

constexpr std::string_view sample_text =
    R"({"urgent":true,"small":65535,"balance":"-5","id":"01020304","note":"quote \" and\nline",)"
    R"("payments":[{"recipient":{"Account":{"uid":"/1/2"}},"amount":7,"memo":"abcd"},)"
    R"({"recipient":{"Burn":{}},"amount":9223372036854775807,"memo":""}],"pair":[9,"05060708"]})";

TEST(Names, are_read_from_members_and_types) {
  EXPECT_EQ(member_name<&Payment::amount>, "amount");
  EXPECT_EQ(member_name<&Outer::Inner::deep_value>, "deep_value");
  EXPECT_EQ(member_name<&Box<int>::content>, "content");
  EXPECT_EQ((member_name<&Box<std::pair<Box<Payment>, int>>::content>), "content");
  EXPECT_EQ(type_name<Payment>, "Payment");
  EXPECT_EQ(type_name<Outer::Inner>, "Inner");
  EXPECT_EQ(type_name<Box<int>>, "Box");
  EXPECT_EQ((type_name<Box<std::pair<Box<Payment>, Outer::Inner>>>), "Box");
}

TEST(Json, goes_both_ways_in_field_order) {
  EXPECT_EQ(to_json(sample()).dump(), sample_text);
  const auto back = from_json<Order>(sample_text);
  ASSERT_TRUE(back.has_value()) << back.error();
  EXPECT_TRUE(*back == sample());
}

TEST(Json, shows_nothing_as_null) {
  Order order = sample();
  order.id.reset();
  const Json json = to_json(order);
  EXPECT_TRUE(json["id"].is_null());
  EXPECT_TRUE(from_json<Order>(json.dump()) == order);
}

TEST(Json, takes_fields_in_any_order) {
  const auto box = from_json<Payment>(R"({"memo":"","amount":1,"recipient":{"Burn":{}}})");
  ASSERT_TRUE(box.has_value()) << box.error();
  EXPECT_EQ(box->amount, Amount(1));
}

TEST(Json, names_templates_without_their_arguments) {
  EXPECT_EQ(to_json(Box<Box<std::uint8_t>>{{3}}).dump(), R"({"content":{"content":3}})");
}

// The sample with one piece of text replaced.
std::string error_after(std::string_view part, std::string_view replacement) {
  std::string text(sample_text);
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  text.replace(at, part.size(), replacement);
  const auto result = from_json<Order>(text);
  return result ? "accepted" : result.error();
}

TEST(Json, errors_name_the_place_and_what_was_expected) {
  EXPECT_EQ(error_after("true", "1"), "Order.urgent: expected true or false");
  EXPECT_EQ(error_after("65535", "65536"), "Order.small: expected an unsigned number in range");
  EXPECT_EQ(error_after("65535", "-1"), "Order.small: expected an unsigned number in range");
  EXPECT_EQ(error_after("65535", "1.5"), "Order.small: expected an unsigned number in range");
  EXPECT_EQ(error_after("65535", "99999999999999999999"), "Order.small: expected an unsigned number in range");
  EXPECT_EQ(error_after("\"-5\"", "-5"), "Order.balance: expected a decimal number as a string");
  EXPECT_EQ(error_after("\"-5\"", "\"5x\""), "Order.balance: expected a decimal number as a string");
  EXPECT_EQ(error_after("01020304", "010203"), "Order.id: expected a hex string of the right length");
  EXPECT_EQ(error_after("\"01020304\"", "7"), "Order.id: expected a hex string");
  EXPECT_EQ(error_after("/1/2", "/1/3"),
            "Order.payments[0].recipient.Account.uid: expected the text form of this type");
  EXPECT_EQ(error_after("abcd", "abc"), "Order.payments[0].memo: expected a hex string");
  EXPECT_EQ(error_after("abcd", "0011223344"), "Order.payments[0].memo: expected another number of elements");
  EXPECT_EQ(error_after("9223372036854775807", "9223372036854775808"),
            "Order.payments[1].amount: expected an unsigned number in range");
  EXPECT_EQ(error_after("{\"Burn\":{}}", "{\"Bern\":{}}"), "Order.payments[1].recipient: unknown alternative");
  EXPECT_EQ(error_after("{\"Burn\":{}}", "{\"Burn\":{},\"Account\":{}}"),
            "Order.payments[1].recipient: expected an object with one member");
  EXPECT_EQ(error_after("{\"Burn\":{}}", "{\"Burn\":{\"x\":1}}"),
            "Order.payments[1].recipient.Burn: unknown field 'x'");
  EXPECT_EQ(error_after("[9,\"05060708\"]", "[9]"), "Order.pair: expected an array of two");
  EXPECT_EQ(error_after("[9,", "[\"9\","), "Order.pair[0]: expected an unsigned number in range");
}

TEST(Json, refuses_unknown_and_missing_fields) {
  EXPECT_EQ(error_after("\"urgent\"", "\"urgend\""), "Order: unknown field 'urgend'");
  EXPECT_EQ(error_after("\"urgent\":true,", ""), "Order: field 'urgent' is missing");
  EXPECT_EQ(error_after("\"amount\":7,", ""), "Order.payments[0]: field 'amount' is missing");
  EXPECT_EQ(from_json<Order>("[]").error(), "Order: expected an object");
}

TEST(Json, refuses_numbers_of_elements_outside_the_bounds) {
  Order order = sample();
  order.payments.clear();
  EXPECT_EQ(from_json<Order>(to_json(order).dump()).error(), "Order.payments: expected another number of elements");
  order.payments.resize(3);
  EXPECT_EQ(from_json<Order>(to_json(order).dump()).error(), "Order.payments: expected another number of elements");
}

TEST(Json, refuses_what_is_no_json) {
  for (const char* text : {"", "{", "{]", "{\"a\":}", "nul", "{} {}"})
    EXPECT_EQ(from_json<Order>(text).error(), "not valid JSON") << text;
  EXPECT_EQ(from_json<Order>(std::string(100'000, '[')).error(), "not valid JSON") << "deep nesting";
}

TEST(Decimal, goes_both_ways_at_the_ends) {
  const auto smallest = static_cast<__int128>(static_cast<unsigned __int128>(1) << 127);
  const __int128 largest = ~smallest;
  const std::pair<__int128, const char*> vectors[] = {
      {0, "0"},
      {-1, "-1"},
      {1'000'000'007, "1000000007"},
      {largest, "170141183460469231731687303715884105727"},
      {smallest, "-170141183460469231731687303715884105728"},
  };
  for (const auto& [value, text] : vectors) {
    EXPECT_EQ(to_decimal(value), text);
    EXPECT_TRUE(parse_decimal(text) == value) << text;
  }
}

TEST(Decimal, refuses_what_does_not_fit_or_is_no_number) {
  for (const char* text :
       {"170141183460469231731687303715884105728", "-170141183460469231731687303715884105729", "", "-", "+1", " 1",
        "1 ", "0x1", "1.0", "--1", "99999999999999999999999999999999999999999999999999"})
    EXPECT_FALSE(parse_decimal(text).has_value()) << text;
}

}  // namespace
}  // namespace zef::codec
