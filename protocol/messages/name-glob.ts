/** Patterns of names: `*` stands for any text, `?` for one character, everything else for itself. Pure. */

/** Whatever the case; in time proportional to both lengths at worst. */
export function matchesGlob(pattern: string, text: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), text.toLowerCase()];
  let [at, star, tried] = [0, -1, 0];
  for (let read = 0; read < given.length;) {
    if (wanted[at] === '*') {
      [star, tried] = [at, read];
      at += 1;
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === given[read])) {
      at += 1;
      read += 1;
    } else if (star >= 0) {
      tried += 1;
      [at, read] = [star + 1, tried];
    } else return false;
  }
  while (wanted[at] === '*') at += 1;
  return at === wanted.length;
}
