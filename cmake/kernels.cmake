# tensor/kernels/*.cpp, compiled once per instruction set into namespace HOLDFAST_ISA; tensor/kernels/dispatch.h picks one
# at run time. Contraction to fused multiply-add is allowed here alone: the bits are a promise per instruction set.
file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tensor/kernels/*.cpp)
# A source's options come last, after the -ffp-contract=off of holdfast_flags.
set_source_files_properties(${kernel_sources} PROPERTIES COMPILE_OPTIONS -ffp-contract=fast)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(HOLDFAST_ISAS baseline avx2 avx512)
  set(flags_baseline -march=x86-64)
  set(flags_avx2 -march=haswell)
  set(flags_avx512 -march=skylake-avx512 -mprefer-vector-width=512)
else()
  set(HOLDFAST_ISAS baseline)
endif()
foreach(isa ${HOLDFAST_ISAS})
  add_library(holdfast_kernels_${isa} OBJECT ${kernel_sources})
  target_link_libraries(holdfast_kernels_${isa} PRIVATE holdfast_flags)
  target_compile_definitions(holdfast_kernels_${isa} PRIVATE HOLDFAST_ISA=${isa})
  target_compile_options(holdfast_kernels_${isa} PRIVATE -O3 -fno-math-errno -fno-trapping-math
                         -fno-semantic-interposition ${flags_${isa}})
  target_sources(holdfast_tensor PRIVATE $<TARGET_OBJECTS:holdfast_kernels_${isa}>)
endforeach()
