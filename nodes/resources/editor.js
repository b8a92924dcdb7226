/* What the dialogs of the hubqueue nodes share. Loaded by hubqueue.html before the nodes are registered. */
(function () {
  'use strict';

  const DURATION = /^\s*(\d+(\.\d+)?\s*(ms|s|min|m|h|d)?)?\s*$/;
  const text = (key, values) => RED._(`@hubqueue/node-red-hubqueue/hubqueue:hubqueue.${key}`, values);

  /** Turns an input and its hidden type field into a typed one that keeps its label for screen readers. */
  function typed(name, types, fallback) {
    const input = $(`#node-input-${name}`);
    input.attr('aria-labelledby', `hubqueue-label-${name}`).css('width', '70%'); // as wide as the plain ones
    input.typedInput({ default: fallback || types[0], types, typeField: `#node-input-${name}Type` });
    return input;
  }

  /** The queues of the chosen server, offered while a queue name is typed. */
  function queueNames(name, types, fallback) {
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
    const queue = { value: 'str', label: 'string', icon: 'red/images/typedInput/az.svg', autoComplete: complete };
    const input = typed(name, types.map((type) => (type === 'str' ? queue : type)), fallback || 'str');
    $('#node-input-server').on('change', load);
    load();
    return input;
  }

  /** true, or what is wrong with a duration. */
  function duration(value) {
    return DURATION.test(value || '') || text('errors.duration');
  }

  /** true, or what is wrong with a whole number from `least` on; blank is fine. */
  function whole(least) {
    return (value) => value === '' || value === undefined || (/^-?\d+$/.test(value) && Number(value) >= least) || text('errors.whole', { least });
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

  window.hubqueueNodes = { text, typed, queueNames, duration, whole, showWhen, testButton };
})();
