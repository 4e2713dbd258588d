// The functions of <math.h> that Lua calls, in place of the C library's: their tables alone are a tenth
// of a download. The JavaScript engine has them all, and calls its own from wasm as fast as C would.
#include <math.h>
#include <stdlib.h>

#define ENGINE(name) __attribute__((import_module("Math"), import_name(#name)))
#define FROM_ENGINE(name)                      \
  ENGINE(name) double engine_##name(double x); \
  double name(double x) { return engine_##name(x); }

FROM_ENGINE(acos)
FROM_ENGINE(asin)
FROM_ENGINE(cos)
FROM_ENGINE(exp)
FROM_ENGINE(log)
FROM_ENGINE(log10)
FROM_ENGINE(log2)
FROM_ENGINE(sin)
FROM_ENGINE(tan)

ENGINE(atan2) double engine_atan2(double y, double x);
double atan2(double y, double x) { return engine_atan2(y, x); }

ENGINE(pow) double engine_pow(double x, double y);

// A number as the sum of two, the second below the first's last digit.
typedef struct twofold {
  double high, low;
} twofold;

// Splits into halves whose products are exact (Veltkamp).
static twofold halves(double x) {
  double scaled = x * 134217729.0; // 2^27 + 1
  double high = scaled - (scaled - x);
  return (twofold){high, x - high};
}

static twofold product(twofold a, twofold b) {
  double high = a.high * b.high;
  twofold x = halves(a.high), y = halves(b.high);
  double low =
      ((x.high * y.high - high) + x.high * y.low + x.low * y.high) + x.low * y.low;
  low += a.high * b.low + a.low * b.high;
  double sum = high + low;
  return (twofold){sum, low - (sum - high)};
}

static double reciprocal(twofold x) {
  double first = 1 / x.high;
  twofold back = product(x, (twofold){first, 0});
  return first + first * ((1 - back.high) - back.low);
}

static const double largest_power = 1024;

static double whole_power(double x, int power) {
  int exponent;
  double digits = frexp(x, &exponent);
  if (fabs(digits) < 0.70710678118654752) digits *= 2, exponent--;
  // Between the roots of 1/2 and of 2 no power comes near the ends of a double's range.
  twofold result = {1, 0}, square = {digits, 0};
  for (unsigned left = (unsigned)abs(power); left; left >>= 1) {
    if (left & 1) result = product(result, square);
    square = product(square, square);
  }
  return ldexp(power < 0 ? reciprocal(result) : result.high, exponent * power);
}

// Engines differ in the last digits of whole powers, 10^-25 say: these are multiplied out here, in twice
// the digits. The rest is theirs, but for what C and IEEE 754 say is one.
double pow(double x, double y) {
  if (x == 1 || (x == -1 && isinf(y))) return 1;
  if (fabs(y) <= largest_power && trunc(y) == y && isnormal(x))
    return whole_power(x, (int)y);
  return engine_pow(x, y);
}
