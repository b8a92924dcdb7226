/* What the dialogs of the hubqueue nodes share. Loaded by hubqueue.html before the nodes are registered. */
(function () {
  'use strict';

  const text = (key, values) => RED._(`@hubqueue/node-red-hubqueue/hubqueue:hubqueue.${key}`, values);

  /**
   * Turns an input and its hidden type field into a typed one that keeps its label for screen readers. A typed input
   * judges its value by itself too: a text by the rule of the field. complete: offers texts while one types.
   */
  function typed(name, types, { fallback, complete } = {}) {
    const { FIELDS, meaning } = window.hubqueueFields();
    const node = RED.editor.getEditStack().slice(-1)[0];
    const field = FIELDS[node.type][name];
    const words = {
      value: 'str',
      label: 'string',
      icon: 'red/images/typedInput/az.svg',
      validate: (value) => verdict(() => meaning({ ...field, type: undefined }, value, { others: (other) => present(node, other), variables: true })),
      ...(complete ? { autoComplete: complete } : {}),
    };
    const input = $(`#node-input-${name}`);
    const label = `hubqueue-label-${name}`;
    input.attr('aria-labelledby', label).css('width', '70%'); // as wide as the plain ones
    const typeField = $(`#node-input-${name}Type`);
    input.typedInput({ default: fallback || types[0], types: types.map((type) => (type === 'str' ? words : type)), ...(typeField.length ? { typeField } : {}) });
    const named = 'input, .red-ui-typedInput-option-expand'; // Node-RED 4.1 forgets the one, every version the other
    input.next('.red-ui-typedInput-container').find(named).attr('aria-labelledby', label);
    return input;
  }

  /** The expression that an enqueue node stores: looked at only while it is what is stored. */
  function expression() {
    const input = typed('expression', ['jsonata']);
    $('#node-input-store').on('change', () => input.trigger('change'));
  }

  /** The queues of the chosen server, offered while a queue name is typed. */
  function queueNames(name, types) {
    let known = [];
    let loading = $.when();
    const load = () => {
      const id = $('#node-input-server').val();
      known = [];
      loading = !id || id === '_ADD_' ? $.when() : $.getJSON(`hubqueue/${id}/queues`).done((answer) => {
        known = answer.queues || [];
      });
    };
    // With a second argument Node-RED waits for the answer: who types faster than the hub is offered the names too.
    const complete = (value, done) => {
      const wanted = value.toLowerCase();
      loading.always(() => {
        done(known.filter((queue) => queue.toLowerCase().includes(wanted)).map((queue) => ({ value: queue, label: queue })));
      });
    };
    const input = typed(name, types, { fallback: 'str', complete });
    $('#node-input-server').on('change', load);
    load();
    return input;
  }

  /** The fields of a type with their labels, and the rules of fields.js as validators. */
  function checked(type, defaults) {
    const { FIELDS, meaning } = window.hubqueueFields();
    for (const [name, field] of Object.entries(FIELDS[type])) {
      // Node-RED takes a text for a reason, and not for "valid", only from a function with two parameters.
      const validate = function (value, options) {
        const said = verdict(() => meaning(field, value, { others: (other) => present(this, other), parse, variables: true }));
        return said !== true && options?.label ? `${options.label}: ${said}` : said;
      };
      Object.assign(defaults[name], { label: text(`label.${field.label}`), validate });
    }
    return defaults;
  }

  /** true, or why a value is refused. */
  function verdict(judge) {
    try {
      judge();
      return true;
    } catch (refusal) {
      return text(`errors.${refusal.key}`, refusal.values);
    }
  }

  /** What another field of a node says: in its dialog, if that is open, else in the node. */
  function present(node, name) {
    const open = RED.editor.getEditStack().slice(-1)[0];
    const shown = open && open.id === node.id ? $(`#node-input-${name}, #node-config-input-${name}`).val() : undefined;
    return shown ?? node[name];
  }

  const parse = { jsonata: (source) => accepted(source, 'jsonata'), property: (path) => accepted(path, 'msg') };

  function accepted(value, type) {
    const said = RED.utils.validateTypedProperty(value, type, {});
    if (said !== true) {
      throw new Error(said);
    }
  }

  /** Shows rows only while a select has one of these values. */
  function showWhen(select, rules) {
    const apply = () => {
      for (const [row, values] of Object.entries(rules)) {
        $(row).toggle(values.includes($(select).val()));
      }
    };
    $(select).on('change', apply);
    apply();
  }

  function serverDialog() {
    testButton();
    $('#node-config-input-keep').prop('checked', this.keep !== false); // flows may leave it out
    // the longest wait is judged by the shortest one, too
    $('#node-config-input-shortestWait').on('change', () => $('#node-config-input-longestWait').trigger('change'));
  }

  /** The test button of the server dialog. */
  function testButton() {
    const say = (message, failed) => $('#hubqueue-test-answer').text(message).toggleClass('hubqueue-failed', failed);
    const field = (name) => $(`#node-config-input-${name}`).val();
    $('#hubqueue-test').on('click', (event) => {
      event.preventDefault();
      say(text('server.testing'), false);
      const id = RED.editor.getEditStack().slice(-1)[0]?.id;
      const tls = field('tls');
      const asked = { id, host: field('host'), port: field('port'), tls: tls === '_ADD_' ? '' : tls, token: field('token'), connectTimeout: field('connectTimeout') };
      $.ajax({ url: 'hubqueue/test', method: 'POST', contentType: 'application/json', data: JSON.stringify(asked) })
        .done((answer) => say(answer.ok ? text('server.works', answer) : text('server.fails', answer), !answer.ok))
        .fail((request) => say(text('server.fails', { message: request.statusText }), true));
    });
    $('#hubqueue-queues').on('click', (event) => {
      event.preventDefault();
      const id = RED.editor.getEditStack().slice(-1)[0]?.id;
      $.getJSON(`hubqueue/${id}/queues`)
        .done((answer) => say((answer.queues || []).join(', ') || text('server.noQueues'), false))
        .fail((request) => say(text('server.fails', { message: request.statusText }), true));
    });
  }

  window.hubqueueNodes = { text, typed, expression, queueNames, checked, showWhen, serverDialog };
})();
