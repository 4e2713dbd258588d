// printf and its family, in place of the C library's: a third of the size. All that C11 has for narrow
// characters and doubles, but for %n, %hh and %h; long doubles it does not know.
//
// A double is a whole number times a power of two, so its decimal digits end: they are all calculated,
// and rounded to as many as are wanted, halves to even.
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Where to: as much as there is room for, but all is counted.
typedef struct sink {
  FILE *file; // or
  char *at, *end;
  size_t count;
} sink;

typedef struct spec {
  bool left, plus, space, alternative, zero;
  int width, precision; // negative: not given
  char letter;
} spec;

static void put(sink *out, const char *bytes, size_t len) {
  out->count += len;
  if (out->file) {
    fwrite(bytes, 1, len, out->file);
    return;
  }
  size_t fits = (size_t)(out->end - out->at);
  if (fits > len) fits = len;
  memcpy(out->at, bytes, fits);
  out->at += fits;
}

static void fill(sink *out, char byte, int times) {
  for (; times > 0; times--) put(out, &byte, 1);
}

// Writes what goes before len bytes: spaces, then the prefix, which is a sign or 0x, then zeros. Returns how
// many spaces go behind them.
static int put_before(sink *out, const spec *s, const char *prefix, int len) {
  int before = (int)strlen(prefix), room = s->width - before - len;
  if (!s->left && !s->zero) fill(out, ' ', room);
  put(out, prefix, (size_t)before);
  if (!s->left && s->zero) fill(out, '0', room);
  return s->left ? room : 0;
}

static void put_padded(sink *out, const spec *s, const char *prefix, int zeros,
                       const char *bytes, int len) {
  int behind = put_before(out, s, prefix, zeros + len);
  fill(out, '0', zeros);
  put(out, bytes, (size_t)len);
  fill(out, ' ', behind);
}

static const char *sign_of(const spec *s, bool negative) {
  return negative ? "-" : s->plus ? "+" : s->space ? " " : "";
}

// Writes digits before `end`. Returns where they begin.
static char *digits_of(uint64_t value, unsigned base, char letter, char *end) {
  for (; value; value /= base) {
    unsigned digit = (unsigned)(value % base);
    // X is x without the bit of lower case.
    *--end = (char)(digit < 10 ? '0' + digit : ('a' - 10 + digit) ^ ((letter & 32) ^ 32));
  }
  return end;
}

static void put_integer(sink *out, spec *s, uint64_t value, const char *prefix) {
  char text[24], *end = text + sizeof text;
  unsigned base = 10;
  if (s->letter == 'o') base = 8;
  if ((s->letter | 32) == 'x') base = 16;
  const char *digits = digits_of(value, base, s->letter, end);
  int len = (int)(end - digits);
  if (s->precision >= 0) s->zero = false;
  int wanted = s->precision < 0 ? 1 : s->precision;
  if (s->alternative && base == 8 && wanted <= len) wanted = len + 1;
  if (s->alternative && base == 16 && value) prefix = s->letter == 'x' ? "0x" : "0X";
  put_padded(out, s, prefix, wanted > len ? wanted - len : 0, digits, len);
}

/* ---- doubles ------------------------------------------------------------------------- */

enum {
  WORD = 1000000000,      // a word is nine digits
  FIVES = 1220703125,     // 5^13
  MOST_DIGITS = 768 + 18, // that a double has, and what the last word has of zeros
};

typedef struct decimal {
  uint32_t words[MOST_DIGITS / 9 + 1]; // the last ones first
  int count;
  char digits[MOST_DIGITS + 1]; // the first may be a zero
  int len, point;               // the point is before digits[point], which may be outside
} decimal;

static void multiply(decimal *d, uint32_t factor) {
  uint64_t carry = 0;
  for (int i = 0; i < d->count; i++) {
    carry += (uint64_t)d->words[i] * factor;
    d->words[i] = (uint32_t)(carry % WORD);
    carry /= WORD;
  }
  for (; carry; carry /= WORD) d->words[d->count++] = (uint32_t)(carry % WORD);
}

// All digits of what is not negative, and finite.
static void to_decimal(decimal *d, double value) {
  int exponent;
  uint64_t whole = (uint64_t)ldexp(frexp(value, &exponent), 53);
  exponent -= 53;
  for (; whole && !(whole & 1); whole >>= 1) exponent++;
  d->words[0] = (uint32_t)(whole % WORD);
  d->words[1] = (uint32_t)(whole / WORD);
  d->count = 2;
  if (!whole) exponent = 0;
  // times 2^-n is times 5^n, with the point n digits further left
  int fraction = exponent < 0 ? -exponent : 0;
  for (; exponent >= 29; exponent -= 29) multiply(d, 1u << 29);
  if (exponent > 0) multiply(d, 1u << exponent);
  for (; exponent <= -13; exponent += 13) multiply(d, FIVES);
  uint32_t rest = 1;
  for (; exponent < 0; exponent++) rest *= 5;
  multiply(d, rest);

  char *at = d->digits;
  *at++ = '0'; // for what rounding may carry
  for (int i = d->count; i-- > 0; at += 9) {
    memset(at, '0', 9);
    digits_of(d->words[i], 10, 0, at + 9);
  }
  d->len = (int)(at - d->digits);
  d->point = d->len - fraction;
}

// Leaves so many digits, which may be none or negative.
static void round_to(decimal *d, int len) {
  if (len >= d->len) return;
  if (len < 1) { // the first digit is a zero: what is further left is, too
    d->len = 1;
    return;
  }
  const char *rest = d->digits + len;
  bool up = *rest > '5' || (*rest == '5' && (rest[-1] & 1));
  for (int i = len + 1; *rest == '5' && !up && i < d->len; i++) up = d->digits[i] != '0';
  d->len = len;
  if (!up) return;
  char *last = d->digits + len - 1;
  for (; *last == '9'; last--) *last = '0';
  ++*last;
}

/* ---- laying them out ------------------------------------------------------------------ */

// So many digits from that one on: what is outside of d are zeros.
static void put_digits(sink *out, const decimal *d, int from, int count) {
  for (; from < 0 && count > 0; from++, count--) fill(out, '0', 1);
  int there = d->len - from < count ? d->len - from : count;
  if (there > 0) {
    put(out, d->digits + from, (size_t)there);
    count -= there;
  }
  fill(out, '0', count);
}

// The first that is not zero, or the last before the point.
static int first_digit(const decimal *d) {
  for (int i = 0; i < d->len; i++)
    if (d->digits[i] != '0') return i;
  return d->point - 1;
}

// "e-05": the exponent has so many digits at least. Returns behind it.
static char *write_exponent(char *at, char letter, int exponent, int least) {
  *at++ = letter;
  *at++ = exponent < 0 ? '-' : '+';
  char text[8], *end = text + sizeof text;
  char *digits = digits_of((unsigned)abs(exponent), 10, 0, end);
  while (end - digits < least) *--digits = '0';
  memcpy(at, digits, (size_t)(end - digits));
  return at + (end - digits);
}

static void put_decimal(sink *out, const spec *s, const char *sign, double value) {
  decimal d;
  to_decimal(&d, value);
  char kind = s->letter | 32;
  int first = first_digit(&d), fraction = s->precision < 0 ? 6 : s->precision;
  bool strip = kind == 'g' && !s->alternative;
  if (kind == 'g' && fraction) fraction--; // so that it counts as with e
  round_to(&d, kind == 'f' ? d.point + fraction : first + 1 + fraction);
  first = first_digit(&d);
  int exponent = d.point - 1 - first;
  if (kind == 'g') {
    kind = exponent >= -4 && exponent <= fraction ? 'f' : 'e';
    if (kind == 'f') fraction -= exponent;
  }
  int whole = 1;
  if (kind == 'f') {
    if (exponent < 0)
      first = d.point - 1;
    else
      whole += exponent;
  }
  int behind = first + whole;
  while (strip && fraction &&
         (behind + fraction > d.len || behind + fraction <= 0 ||
          d.digits[behind + fraction - 1] == '0'))
    fraction--;
  char power[8], *end = power;
  if (kind == 'e')
    end = write_exponent(power, (char)('e' ^ ((s->letter & 32) ^ 32)), exponent, 2);
  bool point = fraction || s->alternative;
  int spaces = put_before(out, s, sign, whole + point + fraction + (int)(end - power));
  put_digits(out, &d, first, whole);
  fill(out, '.', point);
  put_digits(out, &d, behind, fraction);
  put(out, power, (size_t)(end - power));
  fill(out, ' ', spaces);
}

// %a: 0x1.8p+1. By itself, so that it can be in the wasm's second part.
__attribute__((noinline)) static void put_hexadecimal(sink *out, const spec *s,
                                                      const char *sign, double value) {
  int exponent, digits = s->precision;
  uint64_t whole = (uint64_t)ldexp(frexp(value, &exponent), 53);
  exponent = whole ? exponent - 1 : 0;
  if (digits >= 0 && digits < 13) {
    uint64_t unit = UINT64_C(1) << (4 * (13 - digits)), rest = whole & (unit - 1);
    whole -= rest;
    if (rest > unit / 2 || (rest == unit / 2 && whole & unit)) whole += unit;
  }
  char text[40], *at = text, upper = (s->letter & 32) ^ 32;
  *at++ = (char)('0' + (whole >> 52));
  uint64_t fraction = whole << 12;
  if (digits > 0 || s->alternative || (digits < 0 && fraction)) *at++ = '.';
  int shown = 0;
  for (; digits < 0 ? fraction != 0 : shown < digits && shown < 13;
       shown++, fraction <<= 4) {
    unsigned digit = (unsigned)(fraction >> 60);
    *at++ = (char)(digit < 10 ? '0' + digit : ('a' - 10 + digit) ^ upper);
  }
  char power[8];
  int power_len = (int)(write_exponent(power, (char)('p' ^ upper), exponent, 1) - power);
  int zeros = digits > shown ? digits - shown : 0;
  char prefix[4];
  strcpy(prefix, sign);
  strcat(prefix, upper ? "0X" : "0x");
  int len = (int)(at - text);
  int spaces = put_before(out, s, prefix, len + zeros + power_len);
  put(out, text, (size_t)len);
  fill(out, '0', zeros);
  put(out, power, (size_t)power_len);
  fill(out, ' ', spaces);
}

static void put_double(sink *out, spec *s, double value) {
  const char *sign = sign_of(s, signbit(value));
  value = fabs(value);
  if (!isfinite(value)) {
    s->zero = false;
    const char *names = s->letter & 32 ? "infnan" : "INFNAN";
    put_padded(out, s, sign, 0, names + (isnan(value) ? 3 : 0), 3);
  } else if ((s->letter | 32) == 'a') {
    put_hexadecimal(out, s, sign, value);
  } else {
    put_decimal(out, s, sign, value);
  }
}

/* ---- the format ----------------------------------------------------------------------- */

static const char *read_flags(const char *format, spec *s) {
  for (;; format++) {
    switch (*format) {
    case '-': s->left = true; break;
    case '+': s->plus = true; break;
    case ' ': s->space = true; break;
    case '#': s->alternative = true; break;
    case '0': s->zero = true; break;
    default: return format;
    }
  }
}

static int read_number(const char **format) {
  int number = 0;
  for (; **format >= '0' && **format <= '9'; ++*format)
    number = 10 * number + **format - '0';
  return number;
}

static void print(sink *out, const char *format, va_list args) {
  for (;;) {
    const char *percent = strchr(format, '%');
    size_t len = percent ? (size_t)(percent - format) : strlen(format);
    put(out, format, len);
    if (!percent) return;
    spec s = {.precision = -1};
    format = read_flags(percent + 1, &s);
    if (*format == '*') {
      format++;
      s.width = va_arg(args, int);
      if (s.width < 0) s.left = true, s.width = -s.width;
    } else {
      s.width = read_number(&format);
    }
    if (*format == '.') {
      format++;
      if (*format == '*')
        format++, s.precision = va_arg(args, int);
      else
        s.precision = read_number(&format);
    }
    size_t size = sizeof(int);
    for (; *format && strchr("lzjt", *format); format++) {
      if (*format == 'j' || (format[0] == 'l' && format[1] == 'l'))
        size = sizeof(int64_t);
      else if (size == sizeof(int))
        size = sizeof(long);
    }
    s.letter = *format++;
    switch (s.letter) {
    case 'c': {
      char byte = (char)va_arg(args, int);
      s.zero = false;
      put_padded(out, &s, "", 0, &byte, 1);
      break;
    }
    case 's': {
      const char *text = va_arg(args, const char *);
      if (!text) text = "(null)";
      s.zero = false;
      const char *end = s.precision < 0 ? NULL : memchr(text, 0, (size_t)s.precision);
      int count = end               ? (int)(end - text)
                  : s.precision < 0 ? (int)strlen(text)
                                    : s.precision;
      put_padded(out, &s, "", 0, text, count);
      break;
    }
    case 'p':
      s.letter = 'x';
      s.alternative = true;
      s.precision = 2 * sizeof(void *);
      put_integer(out, &s, (uintptr_t)va_arg(args, void *), "");
      break;
    case 'd':
    case 'i': {
      int64_t value = size == sizeof(int64_t) ? va_arg(args, int64_t) : va_arg(args, int);
      put_integer(out, &s, value < 0 ? 0 - (uint64_t)value : (uint64_t)value,
                  sign_of(&s, value < 0));
      break;
    }
    case 'u':
    case 'o':
    case 'x':
    case 'X': {
      uint64_t value =
          size == sizeof(int64_t) ? va_arg(args, uint64_t) : va_arg(args, unsigned);
      put_integer(out, &s, value, "");
      break;
    }
    case 'a':
    case 'A':
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': put_double(out, &s, va_arg(args, double)); break;
    case '%': fill(out, '%', 1); break;
    default: return;
    }
  }
}

int vsnprintf(char *restrict to, size_t size, const char *restrict format, va_list args) {
  sink out = {.at = to, .end = to + (size ? size - 1 : 0)};
  print(&out, format, args);
  if (size) *out.at = 0;
  return (int)out.count;
}

int snprintf(char *restrict to, size_t size, const char *restrict format, ...) {
  va_list args;
  va_start(args, format);
  int len = vsnprintf(to, size, format, args);
  va_end(args);
  return len;
}

int vfprintf(FILE *restrict file, const char *restrict format, va_list args) {
  sink out = {.file = file};
  print(&out, format, args);
  return ferror(file) ? -1 : (int)out.count;
}

int fprintf(FILE *restrict file, const char *restrict format, ...) {
  va_list args;
  va_start(args, format);
  int len = vfprintf(file, format, args);
  va_end(args);
  return len;
}

// What the compiler makes of fprintf when no float, or no long double, is printed.
int fiprintf(FILE *file, const char *format, ...) __attribute__((alias("fprintf")));
int __small_fprintf(FILE *file, const char *format, ...)
    __attribute__((alias("fprintf")));
