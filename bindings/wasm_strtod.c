// strtod, in place of the C library's, which calculates with 128-bit floats in software: 6 kB of a
// download, and slow. Most numbers that people write have few digits and a small exponent and are
// exact after one multiplication or division of doubles (Clinger, 1990); the others, a few in a
// million, the JavaScript engine reads, which rounds correctly and is there anyway.
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "wasm_files.h"

// Powers of ten that a double holds exactly.
static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_POWERS = 22 };
static const uint64_t exact_integer = UINT64_C(1) << 53;

// Reads "e-12" (or 'p' in `letter`); without digits it is not part of the number.
static int read_exponent(const char **at, char letter) {
  const char *s = *at;
  if (tolower((unsigned char)*s) != letter) return 0;
  s++;
  bool negative = *s == '-';
  if (*s == '-' || *s == '+') s++;
  if (!isdigit((unsigned char)*s)) return 0;
  int exponent = 0;
  for (; isdigit((unsigned char)*s); s++)
    if (exponent < 100000) exponent = exponent * 10 + (*s - '0');
  *at = s;
  return negative ? -exponent : exponent;
}

static double read_decimal(const char *s, const char **end) {
  const char *start = s;
  uint64_t digits = 0;
  int exponent = 0;
  bool any = false, point = false, exact = true;
  for (; isdigit((unsigned char)*s) || (*s == '.' && !point); s++) {
    if (*s == '.') {
      point = true;
      continue;
    }
    any = true;
    exponent -= point;
    if (digits < exact_integer / 10) {
      digits = digits * 10 + (unsigned)(*s - '0');
    } else { // beyond what a double holds exactly
      exponent++;
      if (*s != '0') exact = false;
    }
  }
  if (!any) return 0;
  exponent += read_exponent(&s, 'e');
  *end = s;
  if (digits == 0) return 0;
  if (exact && exponent >= -EXACT_POWERS && exponent <= EXACT_POWERS)
    return exponent < 0 ? (double)digits / exact_power[-exponent]
                        : (double)digits * exact_power[exponent];
  return mc_parse_number(start, (size_t)(s - start));
}

static int hex_digit(char c) {
  return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

// `s` is behind "0x".
static double read_hexadecimal(const char *s, const char **end) {
  uint64_t digits = 0;
  int exponent = 0;
  bool any = false, point = false;
  for (; isxdigit((unsigned char)*s) || (*s == '.' && !point); s++) {
    if (*s == '.') {
      point = true;
      continue;
    }
    any = true;
    if (digits >> 58 == 0) {
      digits = digits * 16 + (unsigned)hex_digit(*s);
      exponent -= 4 * point;
    } else { // only whether anything follows matters for rounding
      digits |= hex_digit(*s) != 0;
      exponent += 4 * !point;
    }
  }
  if (!any) return 0;
  exponent += read_exponent(&s, 'p');
  *end = s;
  return ldexp((double)digits, exponent);
}

double strtod(const char *restrict text, char **restrict end) {
  const char *s = text;
  const char *stop = text; // where nothing could be read
  while (isspace((unsigned char)*s)) s++;
  bool negative = *s == '-';
  if (*s == '-' || *s == '+') s++;
  double value = 0;
  if (strncasecmp(s, "inf", 3) == 0) {
    value = INFINITY;
    stop = s + (strncasecmp(s, "infinity", 8) == 0 ? 8 : 3);
  } else if (strncasecmp(s, "nan", 3) == 0) {
    value = NAN;
    stop = s + 3;
  } else {
    const char *prefix = s;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
      value = read_hexadecimal(s + 2, &stop);
    if (stop == text) value = read_decimal(prefix, &stop);
    if (isinf(value)) errno = ERANGE;
  }
  if (end) *end = (char *)stop;
  return negative ? -value : value;
}
