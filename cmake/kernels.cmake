# tensor/kernels/*.cpp, compiled once per instruction set into namespace HOLDFAST_ISA; tensor/kernels/dispatch.h picks one
# at run time. Contraction to fused multiply-add is allowed here alone: the bits are a promise per instruction set. The
# portable sets are the same files without it, and with one order of reductions (tensor/kernels/lanes.h): their bits are the
# same on every instruction set.
file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tensor/kernels/*.cpp)
# A source's options come last, after the -ffp-contract=off of holdfast_flags and the -O1 of sanitizers.
set_source_files_properties(${kernel_sources} PROPERTIES COMPILE_OPTIONS
                            "-O3;-ffp-contract=$<IF:$<BOOL:$<TARGET_PROPERTY:HOLDFAST_PORTABLE>>,off,fast>")
set(HOLDFAST_ISAS baseline portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND HOLDFAST_ISAS avx2 portable_avx2 avx512 portable_avx512)
  set(flags_baseline -march=x86-64)
  set(flags_avx2 -march=haswell)
  set(flags_avx512 -march=skylake-avx512 -mprefer-vector-width=512)
endif()
foreach(isa ${HOLDFAST_ISAS})
  string(REGEX MATCH "^portable" portable ${isa})
  string(REGEX REPLACE "^portable_?" "" instructions ${isa})
  if(NOT instructions)
    set(instructions baseline)
  endif()
  add_library(holdfast_kernels_${isa} OBJECT ${kernel_sources})
  set_target_properties(holdfast_kernels_${isa} PROPERTIES HOLDFAST_PORTABLE "${portable}")
  target_link_libraries(holdfast_kernels_${isa} PRIVATE holdfast_flags)
  target_compile_definitions(holdfast_kernels_${isa} PRIVATE HOLDFAST_ISA=${isa} $<$<BOOL:${portable}>:HOLDFAST_PORTABLE>)
  target_compile_options(holdfast_kernels_${isa} PRIVATE -fno-math-errno -fno-trapping-math
                         -fno-semantic-interposition ${flags_${instructions}})
  target_sources(holdfast_tensor PRIVATE $<TARGET_OBJECTS:holdfast_kernels_${isa}>)
endforeach()
