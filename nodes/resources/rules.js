/*
 * What a field of a dialog may hold. The editor loads this as a script, the runtime as a module: both refuse the same
 * values in the same words. A rule takes a value that is not blank and gives what it means, or throws a Refusal.
 */
(function (place) {
  'use strict';

  const UNITS_MS = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
  const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?$/;
  const QUEUE = /^[A-Za-z0-9_.:-]{1,256}$/;
  const PATTERN = /^[A-Za-z0-9_.:*-]{1,256}$/;
  const HOST = /^(?:[\p{L}\p{N}_.-]+|[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*(?:%\w+)?)$/iu;
  const ADDRESS = /^(?:(?:tcp|tls):\/\/)?(?:[\p{L}\p{N}_.-]+|\[[0-9a-f:.]+(?:%\w+)?\])(?::(\d{1,5}))?\/?$/iu;
  const STORE = /^#:\(\S+?\)::/; // in front of a property of a context that is not kept in the default store
  const MAX_PORT = 65_535;

  /** Why a value is refused: a text of locales/ (hubqueue.errors) and what stands in it. */
  class Refusal extends Error {
    constructor(key, values = {}) {
      super(key);
      Object.assign(this, { key, values });
    }
  }

  const trimmed = (value) => String(value).trim();

  /** The milliseconds of a written duration, undefined for what is none. unit: of a bare number, null: it needs one. */
  function parseDuration(value, unit) {
    const [, amount, written = unit] = DURATION.exec(trimmed(value)) || [];
    return amount === undefined || !written ? undefined : Math.round(Number(amount) * UNITS_MS[written]);
  }

  /** A number of milliseconds as people write it. */
  function written(ms) {
    const [unit] = Object.entries(UNITS_MS).filter(([, size]) => ms % size === 0 && (ms > 0 || size === 1000)).at(-1);
    return `${ms / UNITS_MS[unit]}${unit}`;
  }

  /** A duration, in milliseconds; bare numbers are seconds. least, most: written as people do. */
  function duration(least, most) {
    const [from, to] = [least, most].map((each) => parseDuration(each));
    return (value) => {
      const ms = parseDuration(value, 's');
      if (ms === undefined) {
        throw new Refusal('duration');
      }
      if (ms < from || ms > to) {
        throw new Refusal('between', { least, most });
      }
      return ms;
    };
  }

  /** A whole number. Without `most` any that JavaScript counts exactly. */
  function whole(least, most = Number.MAX_SAFE_INTEGER) {
    return (value) => {
      const number = /^-?\d+$/.test(trimmed(value)) ? Number(value) : NaN;
      if (!(number >= least && number <= most)) {
        throw most === Number.MAX_SAFE_INTEGER ? new Refusal('whole', { least }) : new Refusal('wholeBetween', { least, most });
      }
      return number;
    };
  }

  function number(least, most) {
    return (value) => {
      const found = /^\d*\.?\d+$/.test(trimmed(value)) ? Number(value) : NaN;
      if (!(found >= least && found <= most)) {
        throw new Refusal('numberBetween', { least, most });
      }
      return found;
    };
  }

  /** A text of so many characters. */
  function text(least, most) {
    return (value) => {
      const { length } = [...String(value)];
      if (length < least || length > most) {
        throw new Refusal('characters', { most });
      }
      return value;
    };
  }

  function choice(...known) {
    return (value) => {
      if (!known.includes(value)) {
        throw new Refusal('choice', { known: known.join(', ') });
      }
      return value;
    };
  }

  function choices(...known) {
    const one = choice(...known);
    return (value) => (Array.isArray(value) ? value : [value]).map(one);
  }

  /** By the kind of an option in the table of job options. */
  const KINDS = {
    integer: ({ min, max }) => whole(min, max),
    duration: ({ min, max }) => duration(written(min), written(max)),
    text: ({ min, max }) => text(min, max),
  };

  /** The rule of an option, or of a part of one. */
  function ruleOf(option) {
    return KINDS[option.kind](option);
  }

  const like = (form, key) => (value) => {
    if (!form.test(trimmed(value))) {
      throw new Refusal(key);
    }
    return trimmed(value);
  };

  const queue = like(QUEUE, 'queue');
  const pattern = like(PATTERN, 'pattern');
  const host = like(HOST, 'host');

  /** Names or patterns, with commas between them. */
  function patterns(value) {
    return String(value).split(',').map(trimmed).filter(Boolean).map(pattern);
  }

  function address(value) {
    const [found, port] = ADDRESS.exec(trimmed(value)) || [];
    if (found === undefined || Number(port) > MAX_PORT || Number(port) === 0) {
      throw new Refusal('address');
    }
    return found;
  }

  /** A TLS configuration: not with an address that says it is unencrypted. */
  function encrypted(value, others) {
    if (value === '_ADD_') {
      return undefined; // what the editor has for none
    }
    if (/^\s*tcp:/i.test(others('to'))) {
      throw new Refusal('plain');
    }
    return value;
  }

  /** What typed fields of these types hold. `parse` reads what only Node-RED can read, and throws: jsonata, property. */
  const TYPED = {
    num: (value) => {
      if (trimmed(value) === '' || !Number.isFinite(Number(value))) {
        throw new Refusal('number');
      }
    },
    json: (value) => parsed(() => JSON.parse(value)),
    jsonata: (value, parse) => parsed(() => parse.jsonata(value)),
    msg: (value, parse) => parsed(() => parse.property(value)),
    flow: (value, parse) => parsed(() => parse.property(value.replace(STORE, ''))),
    global: (value, parse) => parsed(() => parse.property(value.replace(STORE, ''))),
  };

  function parsed(parse) {
    try {
      parse();
    } catch (error) {
      throw new Refusal('unreadable', { message: error.message });
    }
  }

  /** A value of a typed field that is no text: what it says is only known with the message, so only its form is looked at. */
  function typed(type, value, parse) {
    TYPED[type]?.(value, parse);
    return value;
  }

  place({ Refusal, parseDuration, duration, whole, number, choice, choices, ruleOf, queue, pattern, patterns, host, address, encrypted, typed, MAX_PORT });
})((rules) => {
  if (typeof module === 'object') {
    module.exports = rules;
  } else {
    window.hubqueueRules = rules;
  }
});
