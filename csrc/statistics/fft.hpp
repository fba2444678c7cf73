// Complex discrete Fourier transform of any length in float64.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace patchtst_har::statistics {

struct ComplexVector {
    std::vector<double> re, im;

    void resize(std::size_t n) {
        re.resize(n);
        im.resize(n);
    }
};

// Plan of one length: factors, twiddles and scratch. Lengths of the form 2^a 3^b 5^c are transformed by
// mixed-radix Stockham passes (self-sorting, so no bit reversal); all others by Bluestein's chirp
// convolution.
class ComplexFft {
  public:
    explicit ComplexFft(std::size_t n);

    // Replaces re + i im, each [0..n), by its unnormalised transform with the kernel exp(-2 pi i j k / n).
    void forward(double* re, double* im);

  private:
    struct Pass {
        std::size_t radix, n_groups, stride, first_twiddle;
    };

    void plan_passes();
    void plan_bluestein();
    void run_pass(const Pass& pass, const double* re_in, const double* im_in, double* re_out, double* im_out);
    void run_bluestein(double* re, double* im);

    std::size_t n_;
    std::vector<Pass> passes_;
    ComplexVector twiddles_;
    ComplexVector scratch_;
    // Bluestein only: transform of padded length, exp(-i pi k^2 / n), and the transform of its conjugate.
    std::unique_ptr<ComplexFft> padded_;
    ComplexVector chirp_, chirp_spectrum_;
};

}  // namespace patchtst_har::statistics
