// Threads that stay for the next call: starting one takes as long as the work of a small batch.
#pragma once

#include <cstddef>
#include <functional>

namespace patchtst_har::threads {

// Does a range of the items; `thread` < n_threads is its own while the call lasts. Must not throw.
using Body = std::function<void(std::size_t thread, std::size_t begin, std::size_t end)>;

// Calls `body` for ranges that cover 0..n_items, in the calling thread and in at most n_threads - 1 others. A
// thread that wakes late finds nothing left and is not waited for; while another call has the threads, the
// caller does all the work itself. A forked child starts threads of its own. Throws
// std::system_error, having done nothing, if a thread cannot be started.
void parallel_for(std::size_t n_items, std::size_t n_threads, const Body& body);

}  // namespace patchtst_har::threads
