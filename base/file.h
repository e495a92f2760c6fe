// Files, whole or absent: what is written appears under its name only when every byte is on the
// disk, and what is read is a regular file of the size that was looked at. Errors are
// std::runtime_error, one line that names the path. Tested by tests/base/file_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return number_; }
  int release();

 private:
  int number_;
};

/// The whole contents of a regular file of at most `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::int64_t max_bytes);

/// A regular file open for reading at any offset; safe to read from several threads.
class File {
 public:
  explicit File(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  /// Bytes, as of opening.
  std::int64_t size() const { return size_; }
  /// Fills `out` from `offset`; a file that ends before that is an error ("changed while it was
  /// read").
  void read(std::int64_t offset, std::span<std::byte> out) const;
  /// The whole file as memory of this process, mapped as long as the pointer lives: the system's
  /// own pages, no copy. What others write into the file later may show in it, and where they cut
  /// the file short, touching it raises SIGBUS. The file must not be empty.
  std::shared_ptr<std::byte> map() const;

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t size_ = 0;
};

/// Writes a file beside its place and moves it there in commit(). Without commit() nothing is left
/// behind. An existing file is replaced and its mode kept; a link, a folder or a device at `path`
/// is refused.
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter();
  void append(std::span<const std::byte> bytes);
  void append(std::string_view text);
  /// Syncs the file, moves it to its name and syncs the folder. Nothing may be appended afterwards.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  Descriptor descriptor_;
};

/// A file that grows line by line: what is appended is in the system's hands at once, so that it
/// survives the end of this process, and on the disk after sync().
class AppendingFile {
 public:
  /// Makes an empty file, or keeps the first `kept` bytes of the one that is there. A link, a
  /// folder or a device at `path` is refused, and a file that is shorter.
  explicit AppendingFile(std::filesystem::path path, std::int64_t kept = 0);
  void append(std::string_view text);
  void sync();
  std::int64_t size() const { return size_; }

 private:
  std::filesystem::path path_;
  Descriptor descriptor_;
  std::int64_t size_ = 0;
};

/// Throws unless entries can be made in `folder`, or `folder` itself where it does not exist yet:
/// makes one in the nearest folder that exists, and takes it away again.
void probe_folder(const std::filesystem::path& folder);

/// Creates `path` where it is absent and locks it until the descriptor closes; none (below 0) when
/// another process, or another descriptor of this one, holds it. Where the file system knows no
/// locks everybody gets one. The file stays: a process that died holds nothing.
Descriptor try_lock(const std::filesystem::path& path);

/// Replaces or creates `path` with `contents`, as FileWriter does.
void write_file(const std::filesystem::path& path, std::string_view contents);

/// Writes a folder beside its place and moves it there, whole, in commit(). Without commit()
/// nothing is left behind.
class DirectoryWriter {
 public:
  /// The parent of `path` must exist; `path` itself must be absent or a folder.
  explicit DirectoryWriter(std::filesystem::path path);
  DirectoryWriter(const DirectoryWriter&) = delete;
  DirectoryWriter& operator=(const DirectoryWriter&) = delete;
  ~DirectoryWriter();
  /// The temporary folder: write the files here, by any means.
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Syncs every file and folder, moves the folder to its name and syncs the parent. A folder that
  /// was there changes places with the new one (atomically where the file system can); its files
  /// that the new one also has are deleted, and should it hold others it is kept beside as
  /// `<name>.old-N`, which is returned (else an empty path).
  std::filesystem::path commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
};

}  // namespace holdfast
