// scripts/deps.sh, on machines that lack packages or sudo: its tools are stubs in a PATH of its
// own.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class Deps : public testing::Test {
 protected:
  Deps() { tool("id", "echo 1000"); }

  void tool(const std::string& name, const std::string& body) {
    write(folder_.path() / name, "#!/bin/sh\n" + body + '\n');
    std::filesystem::permissions(folder_.path() / name, std::filesystem::perms::owner_all);
  }
  /// All packages are installed but this one.
  void without(const std::string& package) {
    tool("dpkg-query", "[ \"$3\" = '" + package + "' ] || printf installed");
  }
  Outcome deps() {
    const std::string script = std::string(HOLDFAST_SOURCE) + "/scripts/deps.sh";
    return run(folder_.path(), {"-c", "PATH=. exec /bin/sh " + script}, "", "/bin/sh");
  }

  const Folder folder_;
};

TEST_F(Deps, SaysNothingWhenAllIsThere) {
  without("");
  const Outcome outcome = deps();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out + outcome.err, "");
}

TEST_F(Deps, GivesTheLineToRunWhenThereIsNoSudo) {
  without("libfmt-dev");
  const Outcome outcome = deps();
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("apt-get install --no-install-recommends libfmt-dev"),
            std::string::npos)
      << outcome.err;
}

TEST_F(Deps, SaysWhatTheBuildDoesWithoutOneDnn) {
  without("libdnnl-dev");
  const Outcome outcome = deps();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.err.find("f32 matrix products go to OpenBLAS"), std::string::npos)
      << outcome.err;
}

TEST_F(Deps, BuildsWithoutWhatAptGetDoesNotHave) {
  tool("id", "echo 0");
  tool("env", "shift; exec \"$@\"");
  tool("apt-get", "exit 100");  // no network
  without("libdnnl-dev");
  Outcome outcome = deps();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("f32 matrix products go to OpenBLAS"), std::string::npos);
  without("libfmt-dev");
  outcome = deps();
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("could not install libfmt-dev"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace holdfast::test
