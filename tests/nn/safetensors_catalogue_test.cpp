// The byte-level catalogue: what may be read two ways is refused. Where the comment says so, the
// reference (Python safetensors 0.8.0) accepts what is refused here.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "nn/safetensors.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::message_of;
using testing::Scratch;
using namespace std::string_literals;

std::string length_field(std::uint64_t n) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &n, 8);
  return bytes;
}

std::string file(const std::string& header, std::size_t data = 16) {
  return length_field(header.size()) + header + std::string(data, '\0');
}

std::string entry(const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "\"F32\"") {
  return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

const std::string kEntry = entry("[4]", "[0,16]");
const std::string kValid = "{\"a\":" + kEntry + "}";

// A file of one tensor "a" with this entry.
std::string one(const std::string& shape, const std::string& offsets, std::size_t data = 16) {
  return file("{\"a\":" + entry(shape, offsets) + "}", data);
}

std::string with_metadata(const std::string& metadata) {
  return file("{\"__metadata__\":" + metadata + ",\"a\":" + kEntry + "}");
}

std::string two(const std::string& a, const std::string& b, std::size_t data) {
  return file("{\"a\":" + a + ",\"b\":" + b + "}", data);
}

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct Case {
  std::string name, bytes;
  std::string expected;  // part of the message; empty: the file is accepted
};

std::vector<Case> framing() {
  const auto header = [](const std::string& text) { return file(text); };
  const std::uint64_t n = kValid.size();
  return {
      {"M01 empty file", "", "has only 0 bytes"},
      {"M02 7 bytes", "\x01\0\0\0\0\0\0"s, "has only 7 bytes"},
      {"M03 length only", length_field(60), "points past the end"},
      {"M04 empty header", length_field(0), "must begin with {"},
      {"M05 length 2^64-1", length_field(~std::uint64_t{0}) + kValid, "header too large"},
      {"M06 length 2^63", length_field(std::uint64_t{1} << 63) + kValid, "header too large"},
      {"M07 over the cap", length_field(100'000'001) + kValid, "header too large"},
      {"M08 length = file size", length_field(n + 24) + kValid + std::string(16, '\0'),
       "points past the end"},
      {"M09 length one short", length_field(n - 1) + kValid + std::string(16, '\0'), "column "},
      {"M10 length one into the data", length_field(n + 1) + kValid + std::string(16, '\0'),
       "padded with spaces only"},
      {"M11 length big-endian", "\0\0\0\0\0\0\0\x40"s + kValid, "header too large"},
      {"M12 not UTF-8", header("\xff" + kValid), "must begin with {"},
      {"M13 overlong UTF-8", header("{\"\xc0\x80\":" + kEntry + "}"), "column "},
      {"M14 surrogate in UTF-8", header("{\"\xed\xa0\x80\":" + kEntry + "}"), "column "},
      {"M15 lone surrogate escape", header("{\"\\ud800\":" + kEntry + "}"), "column "},
      {"M16 byte order mark", header("\xef\xbb\xbf" + kValid), "must begin with {"},
      {"M17 leading space (reference accepts)", header(" " + kValid), "must begin with {"},
      {"M18 leading newline (reference accepts)", header("\n\t" + kValid), "must begin with {"},
      {"M19 trailing spaces", header(kValid + "     "), ""},
      {"M20 trailing NUL", header(kValid + "\0\0\0"s), "padded with spaces only"},
      {"M21 trailing newline (reference accepts)", header(kValid + "\n"), "padded with spaces"},
      {"M22 array", header("[1]"), "must begin with {"},
      {"M23 string", header("\"a\""), "must begin with {"},
      {"M24 null", header("null"), "must begin with {"},
      {"M25 two objects", header(kValid + "{}"), "column "},
      {"M26 only {", header("{"), "must end with }"},
      {"M27 trailing comma", header("{\"a\":" + kEntry + ",}"), "column "},
      {"M28 comment", header("{/**/\"a\":" + kEntry + "}"), "column "},
      {"M29 single quotes", header("{'a':" + kEntry + "}"), "column "},
      {"M30 depth 10000", header("{\"a\":" + repeat("[", 10000) + repeat("]", 10000) + "}"),
       "nested more than"},
  };
}

std::vector<Case> fields() {
  const auto header = [](const std::string& text) { return file(text); };
  const std::string other = entry("[4]", "[16,32]");
  return {
      {"M31 duplicate name (reference accepts)", two(kEntry, "0,\"a\":" + kEntry, 16),
       "\"a\" twice"},
      {"M32 duplicate name, other entry (reference accepts)",
       header("{\"a\":" + kEntry + ",\"a\":" + other + "}"), "\"a\" twice"},
      {"M33 duplicate by escape (reference accepts)",
       header("{\"a\":" + kEntry + ",\"\\u0061\":" + kEntry + "}"), "\"a\" twice"},
      {"M34 duplicate field",
       header(R"({"a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}})"),
       "\"dtype\" twice"},
      {"M35 duplicate metadata",
       header("{\"__metadata__\":{},\"__metadata__\":{},\"a\":" + kEntry + "}"), "twice"},
      {"M36 duplicate metadata key (reference accepts)", with_metadata(R"({"k":"1","k":"2"})"),
       "\"k\" twice"},
      {"M37 metadata number", with_metadata(R"({"k":1})"), "__metadata__.k must be a string"},
      {"M38 metadata object", with_metadata(R"({"k":{}})"), "__metadata__.k must be a string"},
      {"M39 metadata list", with_metadata("[]"), "__metadata__ must be an object"},
      {"M40 metadata null (reference accepts)", with_metadata("null"),
       "__metadata__ must be an object"},
      {"M41 only metadata", file(R"({"__metadata__":{"format":"pt"}})", 0), ""},
      {"M42 no dtype", header(R"({"a":{"shape":[4],"data_offsets":[0,16]}})"), "no key \"dtype\""},
      {"M43 no shape", header(R"({"a":{"dtype":"F32","data_offsets":[0,16]}})"),
       "no key \"shape\""},
      {"M44 no offsets", header(R"({"a":{"dtype":"F32","shape":[4]}})"), "no key \"data_offsets\""},
      {"M45 extra field (reference accepts)",
       header(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1}})"), "unknown field"},
      {"M46 dtype F33", header("{\"a\":" + entry("[4]", "[0,16]", "\"F33\"") + "}"),
       "unknown type \"F33\""},
      {"M47 dtype f32", header("{\"a\":" + entry("[4]", "[0,16]", "\"f32\"") + "}"),
       "unknown type \"f32\""},
      {"M48 dtype number", header("{\"a\":" + entry("[4]", "[0,16]", "32") + "}"),
       "a.dtype must be a string"},
      {"M84 dtype F4", header("{\"a\":" + entry("[31]", "[0,16]", "\"F4\"") + "}"),
       "unknown type \"F4\""},
      {"M85 BOOL of 2",
       length_field(63) +
           R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}        )"s.substr(0, 63) +
           "\x02",
       ""},
      {"M90 entry null", header("{\"a\":null}"), "a must be an object"},
      {"M79 empty name (reference accepts)", header("{\"\":" + kEntry + "}"), "name is empty"},
      {"M80 NUL in name (reference accepts)", header("{\"a\\u0000\":" + kEntry + "}"),
       "name is empty, has a NUL"},
      {"M81 name of 1 MiB (reference accepts)",
       header("{\"" + std::string(1 << 20, 'x') + "\":" + kEntry + "}"), "longer than 4096"},
  };
}

std::vector<Case> shapes() {
  const std::string rank = "[1" + repeat(",1", 99'999) + "]";
  return {
      {"M49 negative", one("[-4]", "[0,16]"), "is negative"},
      {"M50 2.0", one("[2.0]", "[0,8]", 8), "must be an integer"},
      {"M51 1e0", one("[1e0]", "[0,4]", 4), "must be an integer"},
      {"M52 string", one("[\"4\"]", "[0,16]"), "must be an integer"},
      {"M53 2^64", one("[18446744073709551616]", "[0,16]"), "does not fit in 64 bits"},
      {"M54 product wraps to 16 bytes", one("[2,18446744073709551614]", "[0,16]"), "64 bits"},
      {"M54b product wraps within 63 bits", one("[8,4611686018427387905]", "[0,32]", 32),
       "overflows"},
      {"M55 bytes overflow", one("[2,9223372036854775807]", "[0,16]"), "overflows"},
      {"M56 wraps to 0", one("[4294967296,4294967296]", "[0,0]", 0), "overflows"},
      {"M57 huge beside zero (reference accepts)",
       one("[0,18446744073709551615,18446744073709551615]", "[0,0]", 0), "64 bits"},
      {"M57b huge beside zero, 63 bits", one("[0,9223372036854775807,2]", "[0,0]", 0), "overflows"},
      {"M58 huge before zero", one("[18446744073709551615,18446744073709551615,0]", "[0,0]", 0),
       "64 bits"},
      {"M59 scalar", one("[]", "[0,4]", 4), ""},
      {"M60 rank 100000 (reference accepts)", one(rank, "[0,4]", 4), "100000 dimensions"},
      {"M60b rank 9", one("[1,1,1,1,1,1,1,1,1]", "[0,4]", 4), "9 dimensions"},
      {"M60c rank 8", one("[1,1,1,1,1,1,1,1]", "[0,4]", 4), ""},
      {"M61 zero-size", one("[0,3]", "[0,0]", 0), ""},
      {"M89 NaN", one("[NaN]", "[0,16]"), "column "},
  };
}

std::vector<Case> offsets() {
  const std::string empty = entry("[0]", "[0,0]");
  return {
      {"M62 one offset", one("[4]", "[16]"), "must be two integers"},
      {"M63 three offsets", one("[4]", "[0,8,16]"), "must be two integers"},
      {"M64 negative", one("[4]", "[-16,0]"), "begin of 0 or more"},
      {"M65 reversed", one("[4]", "[16,0]"), "an end not before it"},
      {"M66 beyond the file", one("[8]", "[0,32]"), "points past the end"},
      {"M67 near 2^64", one("[4]", "[18446744073709551600,18446744073709551615]"), "64 bits"},
      {"M67b near 2^63", one("[4]", "[9223372036854775791,9223372036854775807]"), "leaves a hole"},
      {"M68 smaller than the shape", one("[4]", "[0,12]", 12),
       "spans 12 bytes, but dtype and shape make 16"},
      {"M69 larger than the shape", one("[4]", "[0,20]", 20), "spans 20 bytes"},
      {"M70 hole at the start", one("[4]", "[4,20]", 20), "expected 0"},
      {"M71 hole between", two(kEntry, entry("[4]", "[20,36]"), 36), "expected 16"},
      {"M72 overlap", two(kEntry, entry("[4]", "[8,24]"), 24), "expected 16"},
      {"M73 same bytes", two(kEntry, kEntry, 16), "expected 16"},
      {"M74 trailing bytes", one("[4]", "[0,16]", 20), "4 bytes at the end belong to no tensor"},
      {"M75 two bytes short", one("[4]", "[0,16]", 14), "points past the end"},
      {"M76 zero-size shares an offset", two(kEntry, empty, 16), ""},
      {"M77 zero-size in the middle", two(kEntry, entry("[0]", "[8,8]"), 16), "expected 16"},
      {"M78 out of order", two(entry("[4]", "[16,32]"), kEntry, 32), ""},
      {"M82 unaligned F64", two(entry("[1]", "[0,4]"), entry("[1]", "[4,12]", "\"F64\""), 12), ""},
      {"M83 unaligned data", file(kValid + repeat(" ", kValid.size() % 8 == 5 ? 1 : 0)), ""},
      {"M87 leading zero", one("[4]", "[00,16]"), "column "},
      {"M88 -0", one("[4]", "[-0,16]"), "must be an integer"},
      {"M91 ZIP", "PK\x03\x04\x14\0\0\0\x08\0"s + std::string(64, 'x'),
       "ZIP archive or PyTorch pickle"},
      {"M91b pickle", "\x80\x02}q\x01X\x05\0\0\0first"s, "a pickle, which can run code"},
      {"F23 LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
       "git lfs pull"},
      {"F23 HTML", "<!DOCTYPE html><html></html>", "an HTML page"},
      {"F23 gzip", "\x1f\x8b\x08\0\0\0\0\0\0\x03"s, "gzip"},
      {"F06 2 million tensors",
       file("{" +
                repeat("\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},", 500'000) +
                "}",
            0),
       "too many header entries"},
  };
}

TEST(SafetensorsCatalogue, EveryCase) {
  const Scratch scratch;
  for (const auto& group : {framing(), fields(), shapes(), offsets()}) {
    for (const Case& c : group) {
      const auto path = scratch.write("case.safetensors", c.bytes);
      const std::string message = message_of([&] { SafetensorsFile::open(path); });
      if (c.expected.empty()) {
        EXPECT_EQ(message, "") << c.name;
      } else {
        EXPECT_NE(message.find(c.expected), std::string::npos)
            << c.name << ": \"" << message << '"';
        EXPECT_EQ(message.find(path.string()), 0U)
            << c.name << " does not begin with the file's name";
        EXPECT_EQ(message.find('\n'), std::string::npos) << c.name << " is not one line";
      }
    }
  }
}

TEST(SafetensorsCatalogue, PaddingOf100MillionSpacesIsLegal) {  // F05
  const Scratch scratch;
  const auto path = scratch.write("f.safetensors", file("{}" + std::string(99'999'998, ' '), 0));
  EXPECT_TRUE(SafetensorsFile::open(path).entries().empty());
}

TEST(SafetensorsCatalogue, M92HundredThousandTensors) {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) {
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\":" + entry("[0]", "[0,0]");
  }
  const Scratch scratch;
  const auto path = scratch.write("f.safetensors", file(header + "}", 0));
  EXPECT_EQ(SafetensorsFile::open(path).entries().size(), 100'000U);
}

TEST(SafetensorsCatalogue, NotARegularFile) {  // F01, F02
  const Scratch scratch;
  EXPECT_NE(message_of([&] { SafetensorsFile::open(scratch.path()); }), "");
  EXPECT_NE(message_of([&] { SafetensorsFile::open(scratch / "absent"); }).find("absent"),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast
