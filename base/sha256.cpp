#include "base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <vector>

#include "base/file.h"
#include "base/hash.h"

namespace holdfast {
namespace {

constexpr std::int64_t kPiece = 1 << 20;  // bytes read at a time

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(std::span<const std::byte> bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string finish() {
    std::array<std::uint8_t, 32> digest{};
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
    return hexadecimal(digest);
  }

 private:
  static void check(bool done) {
    if (!done) {
      throw std::runtime_error("libcrypto gives no SHA-256: is it a build without it?");
    }
  }
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  return hash.finish();
}

std::string sha256_file(const std::filesystem::path& path) {
  const File file(path);
  Sha256 hash;
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(file.size(), kPiece)));
  for (std::int64_t at = 0; at < file.size(); at += kPiece) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min(kPiece, file.size() - at)));
    file.read(at, part);
    hash.update(part);
  }
  return hash.finish();
}

}  // namespace holdfast
