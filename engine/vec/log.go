package vec

import "math"

// Log10 is the decimal logarithm of x > 0, with the same bits on every machine.
//
// math.Log10 is assembly on some machines and may use fused multiply-adds on
// others. Here every product is rounded by an explicit conversion, which the
// language says forbids fusing. ln m = 2·atanh((m−1)/(m+1)) by its power series,
// for a mantissa m in [√½, √2): |z| ≤ 0.172, and 12 terms leave an error below
// 1e−18.
func Log10(x float64) float64 {
	m, e := math.Frexp(x) // m in [½, 1); exact
	if m < math.Sqrt2/2 {
		m = float64(2 * m)
		e--
	}
	z := (m - 1) / (m + 1)
	z2 := float64(z * z)
	sum := 0.0
	for k := 23; k >= 1; k -= 2 {
		sum = float64(z2*sum) + 1/float64(k)
	}
	ln := float64(2 * float64(z*sum))
	return float64(ln*(1/math.Ln10)) + float64(float64(e)*(math.Ln2/math.Ln10))
}

// Milli rounds x to thousandths, half away from zero.
func Milli(x float64) int64 {
	y := float64(x * 1000)
	if y < 0 {
		return -int64(0.5 - y)
	}
	return int64(y + 0.5)
}
