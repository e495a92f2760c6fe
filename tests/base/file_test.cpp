#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <stdexcept>

#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kLimit = 1 << 20;

unsigned mode_of(const fs::path& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777U;
}

// Restores the process's umask.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(old_); }

 private:
  mode_t old_;
};

TEST(File, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  const std::string contents("line\r\n\0\xFF tail", 13);
  write_file(folder / "a.bin", contents);
  EXPECT_EQ(read_file(folder / "a.bin", kLimit), contents);
  write_file(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty", 0), "");
  EXPECT_EQ(folder.entries(), 2);
}

TEST(File, RefusesToReadWhatIsNoFile) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "sub");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  fs::create_symlink("loop", folder / "loop");
  fs::create_symlink("nowhere", folder / "broken");
  write_file(folder / "large", std::string(11, 'x'));
  struct Case {
    const char* name;
    fs::path path;
    const char* part;
  };
  for (const Case& c :
       {Case{"missing", folder / "missing.csv", "missing.csv': there is no such file"},
        Case{"missing folder", folder / "no/a.csv", "there is no folder"},
        Case{"folder", folder / "sub", "it is a folder, not a file"},
        Case{"pipe", folder / "pipe", "it is a pipe, not a file"},
        Case{"device", "/dev/null", "it is a device, not a file"},
        Case{"broken link", folder / "broken", "there is no such file"},
        Case{"loop of links", folder / "loop", "symbolic links"},
        Case{"escape in the name", folder / "a\x1B[31m", "a\\e[31m"},
        Case{"over the limit", folder / "large", "it has 11 bytes; the limit is 10"}}) {
    expect_error<std::runtime_error>(c.name, c.part, [&] { read_file(c.path, 10); });
  }
}

TEST(File, SaysThatPermissionIsMissing) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root may read everything";
  }
  const TemporaryFolder folder;
  write_file(folder / "secret", "x");
  fs::permissions(folder / "secret", fs::perms::none);
  expect_error<std::runtime_error>("mode 000", "permission denied",
                                   [&] { read_file(folder / "secret", kLimit); });
}

TEST(File, ReadsAtAnyOffsetAndNoticesTheEnd) {
  const TemporaryFolder folder;
  write_file(folder / "a", "0123456789");
  const File file(folder / "a");
  EXPECT_EQ(file.size(), 10);
  std::string part(4, ' ');
  file.read(3, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "3456");
  fs::resize_file(folder / "a", 5);
  expect_error<std::runtime_error>("cut while open", "changed while it was read",
                                   [&] { file.read(3, std::as_writable_bytes(std::span(part))); });
}

TEST(File, MapsItsBytesAndKeepsThem) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "file";
  write_file(path, "some bytes");
  const std::shared_ptr<std::byte> bytes = File(path).map();  // outlives the File
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.get()), 10), "some bytes");
  bytes.get()[0] = std::byte{'c'};
  EXPECT_EQ(read_file(path, 100), "some bytes");  // what is written to the memory stays there
}

TEST(AppendingFile, GrowsAndContinuesFromAPlace) {
  const TemporaryFolder folder;
  const fs::path path = folder / "log";
  {
    AppendingFile file(path);
    file.append("one\n");
    EXPECT_EQ(read_file(path, 100), "one\n");  // at once
    file.append("two\n");
    file.sync();
    EXPECT_EQ(file.size(), 8);
  }
  {
    AppendingFile file(path, 4);
    EXPECT_EQ(read_file(path, 100), "one\n");
    file.append("three\n");
    EXPECT_EQ(file.size(), 10);
  }
  EXPECT_EQ(read_file(path, 100), "one\nthree\n");
  expect_error<std::runtime_error>("shorter", "cut short", [&] { AppendingFile(path, 11); });
  expect_error<std::runtime_error>("folder", "cannot write", [&] { AppendingFile(folder.path()); });
  AppendingFile{path};
  EXPECT_EQ(read_file(path, 100), "");
}

TEST(FileWriter, FollowsTheUmaskAndKeepsTheModeOfWhatItReplaces) {
  const TemporaryFolder folder;
  {
    const Umask umask(027);
    write_file(folder / "a", "1");
  }
  EXPECT_EQ(mode_of(folder / "a"), 0640U);
  const Umask umask(022);
  write_file(folder / "b", "1");
  EXPECT_EQ(mode_of(folder / "b"), 0644U);
  ASSERT_EQ(::chmod((folder / "b").c_str(), 0600), 0);
  write_file(folder / "b", "2");
  EXPECT_EQ(mode_of(folder / "b"), 0600U);
  EXPECT_EQ(read_file(folder / "b", kLimit), "2");
}

TEST(FileWriter, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  {
    FileWriter writer(folder / "a");
    writer.append("new");
    EXPECT_EQ(read_file(folder / "a", kLimit), "old");
  }
  EXPECT_EQ(read_file(folder / "a", kLimit), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(FileWriter, ReplacesAFileThatIsOpenForReading) {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  const File file(folder / "a");
  write_file(folder / "a", "newer");
  std::string contents(3, ' ');
  file.read(0, std::as_writable_bytes(std::span(contents)));
  EXPECT_EQ(contents, "old");
}

TEST(FileWriter, RefusesPlacesThatAreNoFile) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "sub");
  write_file(folder / "target", "kept");
  fs::create_symlink("target", folder / "link");
  struct Case {
    const char* name;
    fs::path path;
    const char* part;
  };
  for (const Case& c : {Case{"folder", folder / "sub", "it is a folder"},
                        Case{"link", folder / "link", "it is a symbolic link"},
                        Case{"device", "/dev/null", "it is a device"},
                        Case{"no folder", folder / "no/a", "there is no folder"},
                        Case{"no name", folder / "none/", "it names no file"},
                        Case{"name too long", folder / std::string(300, 'x'), "too long"}}) {
    expect_error<std::runtime_error>(c.name, c.part, [&] { write_file(c.path, "x"); });
  }
  EXPECT_EQ(read_file(folder / "target", kLimit), "kept");
  EXPECT_EQ(folder.entries(), 3);
}

TEST(FileWriter, AFullDiskLeavesTheTargetAsItWas) {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_error<std::runtime_error>("limit reached", "File too large",
                                   [&] { write_file(folder / "a", std::string(200, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(read_file(folder / "a", kLimit), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(DirectoryWriter, MovesAWholeFolderIntoPlace) {
  const TemporaryFolder folder;
  DirectoryWriter writer(folder / "model");
  write_file(writer.temporary() / "config.json", "{}");
  fs::create_directory(writer.temporary() / "sub");
  write_file(writer.temporary() / "sub" / "x", "1");
  EXPECT_FALSE(fs::exists(folder / "model"));
  EXPECT_EQ(writer.commit(), fs::path());
  EXPECT_EQ(read_file(folder / "model/config.json", kLimit), "{}");
  EXPECT_EQ(read_file(folder / "model/sub/x", kLimit), "1");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(DirectoryWriter, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  {
    const DirectoryWriter writer(folder / "model");
    write_file(writer.temporary() / "config.json", "{}");
  }
  EXPECT_EQ(folder.entries(), 0);
}

TEST(DirectoryWriter, ReplacesItsOwnFilesAndKeepsOthersBeside) {
  const TemporaryFolder folder;
  const auto save = [&](const char* contents) {
    DirectoryWriter writer(folder / "model/");
    write_file(writer.temporary() / "config.json", contents);
    return writer.commit();
  };
  EXPECT_EQ(save("1"), fs::path());
  EXPECT_EQ(save("2"), fs::path());
  EXPECT_EQ(folder.entries(), 1);
  write_file(folder / "model/notes.txt", "mine");
  EXPECT_EQ(save("3"), folder / "model.old-1");
  EXPECT_EQ(read_file(folder / "model/config.json", kLimit), "3");
  EXPECT_FALSE(fs::exists(folder / "model/notes.txt"));
  EXPECT_EQ(read_file(folder / "model.old-1/notes.txt", kLimit), "mine");
  EXPECT_FALSE(fs::exists(folder / "model.old-1/config.json"));
  write_file(folder / "model/more.txt", "mine");
  EXPECT_EQ(save("4"), folder / "model.old-2");
  EXPECT_EQ(folder.entries(), 3);
}

TEST(DirectoryWriter, RefusesPlacesThatAreNoFolder) {
  const TemporaryFolder folder;
  write_file(folder / "file", "x");
  fs::create_symlink(".", folder / "link");
  expect_error<std::runtime_error>("file", "it is a file, not a folder",
                                   [&] { DirectoryWriter(folder / "file"); });
  expect_error<std::runtime_error>("link", "it is a symbolic link",
                                   [&] { DirectoryWriter(folder / "link"); });
  expect_error<std::runtime_error>("no parent", "there is no folder",
                                   [&] { DirectoryWriter(folder / "no/model"); });
  EXPECT_EQ(folder.entries(), 2);
}

TEST(ProbeFolder, FindsOutWithoutLeavingAnything) {
  const TemporaryFolder folder;
  write_file(folder / "file", "x");
  fs::create_symlink("nowhere", folder / "link");
  probe_folder(folder.path());
  probe_folder(folder / "a/b/c");
  expect_error<std::runtime_error>("file", "file' is not a folder",
                                   [&] { probe_folder(folder / "file"); });
  expect_error<std::runtime_error>("below a file", "file' is not a folder",
                                   [&] { probe_folder(folder / "file/a/b"); });
  expect_error<std::runtime_error>("link to nothing", "link' is not a folder",
                                   [&] { probe_folder(folder / "link"); });
  expect_error<std::runtime_error>("no files here", "cannot create '/proc/holdfast/out'",
                                   [&] { probe_folder("/proc/holdfast/out"); });
  EXPECT_EQ(folder.entries(), 2);
}

TEST(ProbeFolder, SeesMissingPermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TemporaryFolder folder;
  fs::create_directory(folder / "closed");
  fs::permissions(folder / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  expect_error<std::runtime_error>("closed", "permission denied",
                                   [&] { probe_folder(folder / "closed/out"); });
  fs::permissions(folder / "closed", fs::perms::owner_all);
}

TEST(TryLock, OneHolderAtATimeAndLeftOverFilesDoNoHarm) {
  const TemporaryFolder folder;
  for (int round = 0; round < 2; ++round) {
    const Descriptor first = try_lock(folder / "lock");
    EXPECT_GE(first.get(), 0);
    EXPECT_LT(try_lock(folder / "lock").get(), 0);
  }
  EXPECT_TRUE(fs::exists(folder / "lock"));
}

}  // namespace
}  // namespace holdfast
