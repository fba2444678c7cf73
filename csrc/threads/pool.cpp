#include "threads/pool.hpp"

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace patchtst_har::threads {
namespace {

// More ranges than threads, so that one that is late or interrupted leaves its share to the others.
constexpr std::size_t kRangesPerThread = 4;

class Pool {
  public:
    // Returns false, having done nothing, while another thread's call is running.
    bool try_run(std::size_t n_items, std::size_t n_threads, const Body& body) {
        const std::unique_lock<std::mutex> mine(callers_, std::try_to_lock);
        if (!mine.owns_lock()) return false;
        {
            const std::scoped_lock locked(mutex_);
            grow(n_threads - 1);
            body_ = &body;
            n_items_ = n_items;
            range_ = std::max<std::size_t>(1, n_items / (n_threads * kRangesPerThread));
            wanted_ = n_threads - 1;
            next_.store(0, std::memory_order_relaxed);
        }
        for (std::size_t i = 1; i < n_threads; ++i) wake_.notify_one();
        work(body, 0);
        std::unique_lock<std::mutex> locked(mutex_);
        body_ = nullptr;  // whoever has not begun yet has nothing to do any more
        idle_.wait(locked, [this] { return n_working_ == 0; });
        return true;
    }

  private:
    void grow(std::size_t n) {
        for (; n_threads_ < n; ++n_threads_) std::thread([this] { serve(); }).detach();
    }

    void work(const Body& body, std::size_t thread) {
        for (;;) {
            const std::size_t begin = next_.fetch_add(range_, std::memory_order_relaxed);
            if (begin >= n_items_) return;
            body(thread, begin, std::min(begin + range_, n_items_));
        }
    }

    [[noreturn]] void serve() {
        std::unique_lock<std::mutex> locked(mutex_);
        for (;;) {
            wake_.wait(locked, [this] { return body_ != nullptr && wanted_ > 0; });
            const std::size_t thread = wanted_--;
            ++n_working_;
            const Body& body = *body_;
            locked.unlock();
            work(body, thread);
            locked.lock();
            if (--n_working_ == 0) idle_.notify_one();
        }
    }

    std::mutex callers_;
    std::mutex mutex_;  // guards what follows, but `next_`
    std::condition_variable wake_, idle_;
    const Body* body_ = nullptr;
    std::size_t n_items_ = 0, range_ = 1, wanted_ = 0, n_working_ = 0, n_threads_ = 0;
    std::atomic<std::size_t> next_{0};
};

// Changes in a forked child alone: Windows knows no such.
#if defined(_WIN32)
using Process = int;
Process this_process() {
    return 0;
}
#else
using Process = pid_t;
Process this_process() {
    return getpid();
}
#endif

struct Owner {
    Process process;
    Pool pool;
};

// The threads of a parent do not exist in its forked child, and its locks may be held for ever: the child
// makes a pool of its own and leaves the inherited one alone. Never destroyed: threads may wait in it at
// exit.
Pool& pool() {
    static std::atomic<Owner*> current{nullptr};
    Owner* owner = current.load(std::memory_order_acquire);
    const Process process = this_process();
    while (owner == nullptr || owner->process != process) {
        auto* fresh = new Owner{process, {}};
        if (current.compare_exchange_strong(owner, fresh, std::memory_order_acq_rel)) return fresh->pool;
        delete fresh;
    }
    return owner->pool;
}

}  // namespace

void parallel_for(std::size_t n_items, std::size_t n_threads, const Body& body) {
    n_threads = std::min(n_threads, n_items);
    if (n_threads > 1 && pool().try_run(n_items, n_threads, body)) return;
    if (n_items > 0) body(0, 0, n_items);
}

}  // namespace patchtst_har::threads
