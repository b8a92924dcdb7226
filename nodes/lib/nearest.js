'use strict';
/** What somebody may have meant. */

/** The known name that is nearest to a written one; undefined when none is near. */
function nearest(written, known) {
  const [best] = known.map((name) => ({ name, distance: distance(written.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(1, best.name.length / 3) ? best.name : undefined;
}

/** How many letters to put in, take out or change. */
function distance(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row.at(-1);
}

module.exports = { nearest };
