'use strict';
/** How nodes read their typed fields: a text, a property of the message, an environment variable, an expression. */

/** The value of a typed field; undefined when the field is blank, or what it names is an empty text. */
async function read(RED, node, msg, value, type) {
  const { found } = await valueOf(RED, node, msg, value, type);
  return found === '' ? undefined : found;
}

/** The value of a typed field as { found }, an empty text too, and a Promise as such; undefined when the field is blank. */
function valueOf(RED, node, msg, value, type = 'str') {
  if (value === undefined || value === null || (value === '' && type !== 'date')) {
    return Promise.resolve({ found: undefined });
  }
  if (type === 'jsonata') {
    return evaluate(RED, node, msg, value);
  }
  return new Promise((resolve, reject) => {
    RED.util.evaluateNodeProperty(value, type, node, msg, (error, found) => (error ? reject(error) : resolve({ found })));
  });
}

function evaluate(RED, node, msg, source) {
  return new Promise((resolve, reject) => {
    const expression = RED.util.prepareJSONataExpression(source, node);
    RED.util.evaluateJSONataExpression(expression, msg, (error, found) => (error ? reject(error) : resolve({ found })));
  });
}

/** A field of a dialog that holds a text or number: undefined when it is blank. */
function plain(value) {
  return value === undefined || value === null || value === '' ? undefined : value;
}

module.exports = { read, valueOf, plain };
