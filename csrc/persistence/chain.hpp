// Chains over Z/2, as sets of numbers, that are taken apart from their youngest member to their oldest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace patchtst_har::persistence {

// A few members among many: a bit a member, and a bit for each word of those that may hold any.
class SparseChain {
  public:
    // Empties the chain and makes room for members below `n_members`.
    void reset(std::size_t n_members) {
        words_.assign(n_members / kBits + 1, 0);
        summary_.assign(words_.size() / kBits + 1, 0);
        top_ = 0;
    }

    void toggle(std::uint32_t member) {
        const std::size_t word = member / kBits;
        words_[word] ^= bit(member);
        summary_[word / kBits] |= bit(word);
        if (word / kBits > top_) top_ = word / kBits;
    }

    // Takes the youngest member out; false if there is none.
    bool pop_youngest(std::uint32_t& member) {
        for (;;) {
            while (summary_[top_] == 0) {
                if (top_ == 0) return false;
                --top_;
            }
            const std::size_t word = kBits * top_ + last_bit(summary_[top_]);
            if (words_[word] == 0) {
                summary_[top_] ^= bit(word);
                continue;
            }
            member = static_cast<std::uint32_t>(kBits * word + last_bit(words_[word]));
            words_[word] ^= bit(member);
            return true;
        }
    }

  private:
    static constexpr std::size_t kBits = 64;

    static std::uint64_t bit(std::size_t place) { return std::uint64_t{1} << (place % kBits); }
    static std::size_t last_bit(std::uint64_t word) {
        return kBits - 1 - static_cast<std::size_t>(__builtin_clzll(word));
    }

    std::vector<std::uint64_t> words_, summary_;
    std::size_t top_ = 0;  // word of the summary, above which all is 0
};

// Many members among few, and added to one another: a bit a member.
class DenseChain {
  public:
    static constexpr std::size_t kBits = 32;

    // Empties the chain.
    void reset() {
        words_.assign(1, 0);
        top_ = 0;
    }

    // Makes room for members below `n_members`.
    void extend(std::size_t n_members) { words_.resize(n_members / kBits + 1); }

    void toggle(std::uint32_t member) {
        const std::size_t word = member / kBits;
        words_[word] ^= std::uint32_t{1} << (member % kBits);
        if (word > top_) top_ = word;
    }

    // Adds a chain of older members, whose first words are these.
    void add(const std::uint32_t* words, std::size_t n_words) {
        for (std::size_t w = 0; w < n_words; ++w) words_[w] ^= words[w];
    }

    // Takes the youngest member out; false if there is none.
    bool pop_youngest(std::uint32_t& member) {
        while (words_[top_] == 0) {
            if (top_ == 0) return false;
            --top_;
        }
        const auto bit =
            static_cast<std::uint32_t>(kBits) - 1U - static_cast<std::uint32_t>(__builtin_clz(words_[top_]));
        member = static_cast<std::uint32_t>(kBits * top_) + bit;
        words_[top_] ^= std::uint32_t{1} << bit;
        return true;
    }

    // Up to the one that holds the youngest member.
    [[nodiscard]] const std::uint32_t* words() const { return words_.data(); }
    [[nodiscard]] std::size_t n_words() const { return top_ + 1; }
    void clear() {
        for (std::size_t w = 0; w <= top_; ++w) words_[w] = 0;
        top_ = 0;
    }

  private:
    std::vector<std::uint32_t> words_;
    std::size_t top_ = 0;  // word above which all is 0
};

}  // namespace patchtst_har::persistence
