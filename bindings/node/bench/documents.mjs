// The documents that are measured with: people, about 200 bytes each, without dates so that JSON can take part.

const FIRST = ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Margaret', 'Dennis', 'Radia', 'Ken'];
const LAST = ['Lovelace', 'Hopper', 'Turing', 'Dijkstra', 'Liskov', 'Knuth', 'Hamilton', 'Ritchie', 'Perlman', 'Thompson'];
const CITIES = ['Berlin', 'Lisbon', 'Osaka', 'Montreal', 'Nairobi', 'Valparaiso', 'Tromso', 'Hobart'];
const TAGS = ['admin', 'beta', 'newsletter', 'trial', 'partner', 'staff', 'archived'];

/** A generator of the same numbers each time. */
function seeded(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
}

/** `count` documents; the same for everybody. */
export function documents(count) {
  const random = seeded(42);
  const pick = (list) => list[random(list.length)];
  return Array.from({ length: count }, (_, i) => {
    const [first, last] = [pick(FIRST), pick(LAST)];
    return {
      _id: i,
      name: `${first} ${last}`,
      email: `${first.toLowerCase()}.${last.toLowerCase()}${i}@example.com`,
      age: 18 + random(60),
      score: random(1000000) / 1000 + 0.0005,
      active: random(2) === 1,
      visits: random(100000),
      address: { street: `${1 + random(200)} Long Street`, city: pick(CITIES), zip: String(10000 + random(89999)) },
      tags: Array.from({ length: 1 + random(3) }, () => pick(TAGS)),
      note: i % 3 === 0 ? 'prefers to be called in the morning' : 'none',
    };
  });
}

/** Ids in an order that no cache foresees. */
export function shuffled(count) {
  const random = seeded(7);
  const ids = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random(i + 1);
    [ids[i], ids[j]] = [ids[j], ids[i]];
  }
  return ids;
}
