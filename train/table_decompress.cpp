#include "train/table_decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

namespace holdfast {
namespace {

constexpr std::size_t kChunk = 256U << 10U;

[[noreturn]] void fail(std::string_view where, const std::string& what) {
  throw std::runtime_error(std::string(where) + ": " + what);
}

// Collects the output and refuses a decompression bomb.
class Output {
 public:
  Output(std::string_view where, std::size_t input_bytes, std::int64_t max_bytes)
      : where_(where),
        limit_(std::min(static_cast<std::size_t>(max_bytes),
                        std::max<std::size_t>(1U << 20U, 1000 * input_bytes))) {}

  unsigned char* buffer() { return buffer_.data(); }
  void take(std::size_t bytes) {
    if (bytes > limit_ - text_.size()) {
      fail(where_, "decompresses to more than " + std::to_string(limit_) +
                       " bytes, the limit (4 GiB, and 1,000 times the file's size): decompress it "
                       "by hand if that is right");
    }
    text_.append(reinterpret_cast<const char*>(buffer_.data()), bytes);
  }
  std::string result() { return std::move(text_); }

 private:
  std::string_view where_;
  std::size_t limit_;
  std::vector<unsigned char> buffer_ = std::vector<unsigned char>(kChunk);
  std::string text_;
};

}  // namespace

std::string decompress_gzip(std::string_view data, std::string_view where, std::int64_t max_bytes) {
  Output output(where, data.size(), max_bytes);
  z_stream stream = {};
  constexpr int kGzip = 15 + 16;  // the largest window; gzip's header and checksum
  if (inflateInit2(&stream, kGzip) != Z_OK) {
    throw std::bad_alloc();
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, inflateEnd);
  int status = Z_OK;
  bool full = false;  // the last output filled the buffer, so more may wait
  for (std::size_t at = 0; at < data.size() || full;) {
    if (status == Z_STREAM_END) {
      inflateReset(&stream);  // another member
    }
    const std::size_t piece =
        std::min<std::size_t>(data.size() - at, std::numeric_limits<uInt>::max());
    stream.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(data.data() + at));  // zlib does not write to it
    stream.avail_in = static_cast<uInt>(piece);
    stream.next_out = output.buffer();
    stream.avail_out = kChunk;
    status = inflate(&stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      fail(where, std::string("damaged gzip data") +
                      (stream.msg != nullptr ? std::string(" (") + stream.msg + ")" : ""));
    }
    at += piece - stream.avail_in;
    output.take(kChunk - stream.avail_out);
    full = stream.avail_out == 0 && status == Z_OK;
  }
  if (status != Z_STREAM_END) {
    fail(where, "the gzip data are cut short");
  }
  return output.result();
}

std::string decompress_zstd(std::string_view data, std::string_view where, std::int64_t max_bytes) {
  Output output(where, data.size(), max_bytes);
  const std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(),
                                                                             ZSTD_freeDStream);
  if (!stream) {
    throw std::bad_alloc();
  }
  ZSTD_inBuffer input = {data.data(), data.size(), 0};
  std::size_t status = 1;
  bool full = false;  // the last output filled the buffer, so more may wait
  while (input.pos < input.size || full) {
    ZSTD_outBuffer piece = {output.buffer(), kChunk, 0};
    status = ZSTD_decompressStream(stream.get(), &piece, &input);
    if (ZSTD_isError(status) != 0) {
      fail(where, std::string("damaged zstd data (") + ZSTD_getErrorName(status) + ")");
    }
    output.take(piece.pos);
    full = piece.pos == piece.size && status != 0;
  }
  if (status != 0) {
    fail(where, "the zstd data are cut short");
  }
  return output.result();
}

}  // namespace holdfast
