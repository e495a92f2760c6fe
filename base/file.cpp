#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/utf8.h"

namespace holdfast {
namespace fs = std::filesystem;
namespace {

std::string quoted(const fs::path& path) { return "'" + utf8::printable(path.string()) + "'"; }

[[noreturn]] void fail(const std::string& action, const fs::path& path, const std::string& why) {
  throw std::runtime_error("cannot " + action + " " + quoted(path) + ": " + why);
}

// The system's reason, with what to do about it where that is clear.
[[noreturn]] void fail_errno(const std::string& action, const fs::path& path, int error) {
  std::string why = std::generic_category().message(error);
  if (error == ENOENT) {
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    std::error_code ignored;
    why = fs::exists(parent, ignored) ? "there is no such file"
                                      : "there is no folder " + quoted(parent);
  } else if (error == EACCES) {
    why = "permission denied (see its mode and those of its folders)";
  } else if (error == ENOSPC || error == EDQUOT) {
    why = "the disk is full";
  }
  fail(action, path, why);
}

const char* kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

template <class Call>
auto retry(const Call& call) {
  auto result = call();
  while (result == -1 && errno == EINTR) {
    result = call();
  }
  return result;
}

void sync(const Descriptor& descriptor, const fs::path& path) {
  if (retry([&] { return ::fsync(descriptor.get()); }) != 0) {
    fail_errno("write", path, errno);
  }
}

void sync_folder(const fs::path& path) {
  const Descriptor folder(
      retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (folder.get() < 0) {
    fail_errno("write", path, errno);
  }
  sync(folder, path);
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A name in the same folder that nobody else uses; short, so that it fits wherever the final name
// does.
fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  return parent_of(path) /
         (".holdfast-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp");
}

void write_all(int descriptor, const std::byte* data, std::size_t size, const fs::path& path) {
  while (size > 0) {
    const ssize_t done = retry([&] { return ::write(descriptor, data, size); });
    if (done < 0) {
      fail_errno("write", path, errno);
    }
    data += done;
    size -= static_cast<std::size_t>(done);
  }
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  Descriptor old(std::exchange(number_, other.release()));
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) {
    ::close(number_);
  }
}

int Descriptor::release() { return std::exchange(number_, -1); }

File::File(const fs::path& path)
    : path_(path),
      // O_NONBLOCK: opening a pipe must not wait for its other end.
      descriptor_(retry([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); })) {
  struct stat status = {};
  if (descriptor_.get() < 0 || ::fstat(descriptor_.get(), &status) != 0) {
    fail_errno("read", path, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    fail("read", path, std::string("it is ") + kind(status.st_mode) + ", not a file");
  }
  size_ = status.st_size;
}

void File::read(std::int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t done =
        retry([&] { return ::pread(descriptor_.get(), out.data(), out.size(), offset); });
    if (done < 0) {
      fail_errno("read", path_, errno);
    }
    if (done == 0) {
      fail("read", path_,
           "it ends before byte " + std::to_string(offset + std::ssize(out)) +
               ": it was cut short, or changed while it was read");
    }
    offset += done;
    out = out.subspan(static_cast<std::size_t>(done));
  }
}

std::shared_ptr<std::byte> File::map() const {
  const auto size = static_cast<std::size_t>(size_);
  // Private and writable: a page that is written to becomes this process's own.
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor_.get(), 0);
  if (data == MAP_FAILED) {
    fail_errno("map", path_, errno);
  }
  return {static_cast<std::byte*>(data), [size](std::byte* begin) { ::munmap(begin, size); }};
}

std::string read_file(const fs::path& path, std::int64_t max_bytes) {
  const File file(path);
  if (file.size() > max_bytes) {
    fail("read", path,
         "it has " + std::to_string(file.size()) + " bytes; the limit is " +
             std::to_string(max_bytes));
  }
  std::string contents(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(contents)));
  return contents;
}

void probe_folder(const fs::path& folder) {
  fs::path nearest = folder.empty() ? fs::path(".") : folder;
  std::error_code ignored;
  while (!fs::exists(fs::symlink_status(nearest, ignored)) && parent_of(nearest) != nearest) {
    nearest = parent_of(nearest);
  }
  if (!fs::is_directory(nearest, ignored)) {
    fail("create", folder, quoted(nearest) + " is not a folder");
  }
  const fs::path entry = temporary_name(nearest / "entry");
  if (::mkdir(entry.c_str(), 0777) != 0) {
    fail_errno("create", folder, errno);
  }
  ::rmdir(entry.c_str());
}

Descriptor try_lock(const fs::path& path) {
  Descriptor lock(
      retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666); }));
  if (lock.get() < 0) {
    fail_errno("write", path, errno);
  }
  const bool held =
      retry([&] { return ::flock(lock.get(), LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK;
  return held ? Descriptor() : std::move(lock);
}

FileWriter::FileWriter(fs::path path) : path_(std::move(path)) {
  struct stat status = {};
  const bool exists = ::lstat(path_.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    fail("write", path_, std::string("it is ") + kind(status.st_mode) + ", not a file");
  }
  if (!path_.has_filename()) {
    fail("write", path_, "it names no file");
  }
  do {
    temporary_ = temporary_name(path_);
    descriptor_ = Descriptor(retry([&] {
      return ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    }));
  } while (descriptor_.get() < 0 && errno == EEXIST);
  if (descriptor_.get() < 0) {
    temporary_.clear();
    fail_errno("write", path_, errno);
  }
  if (exists && ::fchmod(descriptor_.get(), status.st_mode & 0777U) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail_errno("write", path_, error);
  }
}

FileWriter::~FileWriter() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void FileWriter::append(std::span<const std::byte> bytes) {
  write_all(descriptor_.get(), bytes.data(), bytes.size(), path_);
}

void FileWriter::append(std::string_view text) { append(std::as_bytes(std::span(text))); }

void FileWriter::commit() {
  sync(descriptor_, path_);
  if (::close(descriptor_.release()) != 0 && errno != EINTR) {  // the descriptor is gone even then
    fail_errno("write", path_, errno);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_errno("write", path_, errno);
  }
  temporary_.clear();
  sync_folder(parent_of(path_));
}

void write_file(const fs::path& path, std::string_view contents) {
  FileWriter writer(path);
  writer.append(contents);
  writer.commit();
}

AppendingFile::AppendingFile(fs::path path, std::int64_t kept)
    : path_(std::move(path)),
      descriptor_(retry([&] {
        return ::open(path_.c_str(),
                      O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
      })),
      size_(kept) {
  struct stat status = {};
  if (descriptor_.get() < 0 || ::fstat(descriptor_.get(), &status) != 0) {
    fail_errno("write", path_, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    fail("write", path_, std::string("it is ") + kind(status.st_mode) + ", not a file");
  }
  if (status.st_size < kept) {
    fail("continue", path_, "it has been cut short");
  }
  if (retry([&] { return ::ftruncate(descriptor_.get(), kept); }) != 0) {
    fail_errno("write", path_, errno);
  }
}

void AppendingFile::append(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  write_all(descriptor_.get(), bytes.data(), bytes.size(), path_);
  size_ += std::ssize(bytes);
}

void AppendingFile::sync() { holdfast::sync(descriptor_, path_); }

namespace {

void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_symlink()) {
      continue;
    }
    if (entry.is_directory()) {
      sync_tree(entry.path());
    } else {
      const Descriptor file(
          retry([&] { return ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC); }));
      if (file.get() < 0) {
        fail_errno("write", entry.path(), errno);
      }
      sync(file, entry.path());
    }
  }
  sync_folder(folder);
}

// Removes from `old` what `fresh` has too, and folders that become empty. True when nothing is
// left.
bool remove_replaced(const fs::path& old, const fs::path& fresh) {
  bool empty = true;
  for (const fs::directory_entry& entry : fs::directory_iterator(old)) {
    const fs::path twin = fresh / entry.path().filename();
    const bool folder = entry.is_directory() && !entry.is_symlink();
    if (folder ? remove_replaced(entry.path(), twin) : fs::exists(fs::symlink_status(twin))) {
      fs::remove(entry.path());
    } else {
      empty = false;
    }
  }
  return empty;
}

// Puts `fresh` at `path`, where a folder is, and the old folder at `fresh`.
void exchange(const fs::path& fresh, const fs::path& path) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) {
    fail_errno("write", path, errno);
  }
  const fs::path trash = temporary_name(path);  // a file system without exchange
  fs::rename(path, trash);
  fs::rename(fresh, path);
  fs::rename(trash, fresh);
}

fs::path keep_beside(const fs::path& leftover, const fs::path& path) {
  for (int n = 1;; ++n) {
    fs::path kept = path;
    kept += ".old-" + std::to_string(n);
    if (::renameat2(AT_FDCWD, leftover.c_str(), AT_FDCWD, kept.c_str(), RENAME_NOREPLACE) == 0) {
      return kept;
    }
    if (errno != EEXIST) {
      fail_errno("write", kept, errno);
    }
  }
}

}  // namespace

DirectoryWriter::DirectoryWriter(fs::path path)
    : path_(path.has_filename() ? std::move(path) : path.parent_path()) {
  struct stat status = {};
  if (::lstat(path_.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) {
    fail("write", path_,
         std::string("it is ") + (S_ISREG(status.st_mode) ? "a file" : kind(status.st_mode)) +
             ", not a folder");
  }
  int made = -1;
  do {
    temporary_ = temporary_name(path_);
    made = ::mkdir(temporary_.c_str(), 0777);
  } while (made != 0 && errno == EEXIST);
  if (made != 0) {
    temporary_.clear();
    fail_errno("write", path_, errno);
  }
}

DirectoryWriter::~DirectoryWriter() {
  if (!temporary_.empty()) {
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
  }
}

fs::path DirectoryWriter::commit() {
  sync_tree(temporary_);
  fs::path kept;
  struct stat status = {};
  if (::lstat(path_.c_str(), &status) != 0) {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      fail_errno("write", path_, errno);
    }
    temporary_.clear();
  } else {
    exchange(temporary_, path_);
    const fs::path old = std::exchange(temporary_, fs::path());
    sync_folder(parent_of(path_));
    if (remove_replaced(old, path_)) {
      fs::remove(old);
    } else {
      kept = keep_beside(old, path_);
    }
  }
  sync_folder(parent_of(path_));
  return kept;
}

}  // namespace holdfast
