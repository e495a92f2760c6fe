#include "tensor/cpu.h"

#include <gtest/gtest.h>

#include "audit/reference/instruction_sets.h"
#include "tensor/blas.h"

namespace holdfast {
namespace {

TEST(Cpu, HasTheFastSetsAndTheirPortableCounterparts) {
  const reference::KeepMachine keep;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    EXPECT_EQ(is_portable(isa), name_of(isa).starts_with("portable"));
    EXPECT_EQ(arithmetic(), is_portable(isa) ? "portable" : name_of(isa));
    EXPECT_EQ(gemm_description() == "portable loops", is_portable(isa));
  }
}

TEST(Cpu, PortableNumericsLastForAScope) {
  const reference::KeepMachine keep;
  for (const Isa before : reference::instruction_sets()) {
    set_isa(before);
    {
      const PortableNumerics portable(true);
      EXPECT_TRUE(is_portable(isa()));
      EXPECT_FALSE(has_bf16());
      {
        const PortableNumerics again(true), not_wanted(false);
        EXPECT_TRUE(is_portable(isa()));
      }
      EXPECT_TRUE(is_portable(isa()));
    }
    EXPECT_EQ(isa(), before);
    const PortableNumerics not_wanted(false);
    EXPECT_EQ(isa(), before);
  }
}

}  // namespace
}  // namespace holdfast
