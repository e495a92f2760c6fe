// A signal that arrives inside a product must not harm memory: oneDNN's f32 kernels put the stack
// register into a heap buffer when K is large, and a handler's frame would land beside it.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tensor/blas.h"

namespace holdfast {
namespace {

std::atomic<int> handled{0}, off_the_stack{0};
const char *stack_begin = nullptr, *stack_end = nullptr;

void on_signal(int) {
  const char here = 0;
  const volatile char* frame = &here;
  if (frame < stack_begin || frame >= stack_end) off_the_stack.fetch_add(1);
  handled.fetch_add(1);
}

void note_stack() {
  pthread_attr_t attributes;
  void* begin = nullptr;
  std::size_t size = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &begin, &size);
  pthread_attr_destroy(&attributes);
  stack_begin = static_cast<const char*>(begin);
  stack_end = stack_begin + size;
}

TEST(GemmSerial, SurvivesSignals) {
  struct sigaction action {
  }, before{};
  note_stack();
  action.sa_handler = on_signal;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);

  constexpr std::int64_t M = 64, N = 64, K = 6000;
  const std::vector<float> a(M * K, 0.5F), b(K * N, 0.25F);
  const pthread_t worker = pthread_self();
  std::atomic<bool> done{false};
  std::thread sender([&] {
    for (int sent = 0; sent < 500; ++sent) {
      const int seen = handled.load();
      pthread_kill(worker, SIGUSR1);
      while (handled.load() == seen && !done.load()) std::this_thread::yield();
    }
    done = true;
  });
  std::int64_t wrong = 0;
  while (!done.load()) {
    std::vector<float> c(M * N);
    gemm_serial(Trans::yes, Trans::no, M, N, K, 1.0F, a.data(), M, b.data(), N, 0.0F, c.data(), N);
    for (const float x : c) wrong += x != 750.0F;
  }
  sender.join();
  sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(handled.load(), 0);
  EXPECT_EQ(off_the_stack.load(), 0);
}

}  // namespace
}  // namespace holdfast
