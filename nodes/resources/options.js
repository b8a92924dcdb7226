/* The table of job options for the editor and the runtime of Node-RED. script/options writes it: do not change it here. */
((table) => {
  if (typeof module === 'object') {
    module.exports = table;
  } else {
    window.hubqueueOptions = table;
  }
})(
{
  "api": 1,
  "options": [
    {
      "name": "id",
      "json": "id",
      "wire": "customId",
      "kind": "text",
      "help": "An id of your own choice, under which the job is there once; refused while another queue has it",
      "min": 1,
      "max": 1024,
      "default": null,
      "needs": null,
      "absent": {
        "schedule": "each run is a job of its own: dedup has a key for all",
        "rule": "a rule makes many jobs: dedup has a key made of each message",
        "source": "a rule makes many jobs: dedup has a key made of each message"
      }
    },
    {
      "name": "priority",
      "json": "priority",
      "wire": "priority",
      "kind": "integer",
      "help": "Higher goes first",
      "min": -1000000,
      "max": 1000000,
      "default": 0,
      "needs": null,
      "absent": {}
    },
    {
      "name": "delay",
      "json": "delay",
      "wire": "delay",
      "kind": "duration",
      "help": "It runs no sooner than this from now",
      "unit": "ms",
      "min": 0,
      "max": 31536000000,
      "default": 0,
      "needs": null,
      "absent": {}
    },
    {
      "name": "run_at",
      "json": "runAt",
      "wire": "runAt",
      "kind": "time",
      "help": "It runs no sooner than at this time; goes before a delay",
      "unit": "Unix ms",
      "min": 0,
      "max": 253402300799999,
      "default": null,
      "needs": null,
      "absent": {
        "schedule": "the schedule says when",
        "rule": "one time for many jobs: delay counts from each",
        "source": "one time for many jobs: delay counts from each",
        "form": "a time in a page has no zone: delay says it"
      }
    },
    {
      "name": "attempts",
      "json": "attempts",
      "wire": "maxAttempts",
      "kind": "integer",
      "help": "How often it may be tried: 3 times, or as long as it is to be kept trying",
      "min": 1,
      "max": 1000,
      "default": 3,
      "needs": null,
      "absent": {}
    },
    {
      "name": "backoff",
      "json": "backoff",
      "wire": "backoff",
      "kind": "map",
      "help": "How long to wait before the next attempt: a first delay, which doubles, or all there is to say",
      "parts": [
        {
          "name": "type",
          "json": "type",
          "wire": "type",
          "kind": "choice",
          "help": "Whether the wait between attempts doubles each time",
          "choices": [
            {
              "name": "exponential",
              "wire": "exponential"
            },
            {
              "name": "fixed",
              "wire": "fixed"
            }
          ],
          "required": false,
          "default": "exponential"
        },
        {
          "name": "delay",
          "json": "delay",
          "wire": "delay",
          "kind": "duration",
          "help": "The wait before the second attempt",
          "unit": "ms",
          "min": 0,
          "max": 86400000,
          "required": false,
          "default": 1000
        },
        {
          "name": "max",
          "json": "max",
          "wire": "maxDelay",
          "kind": "duration",
          "help": "The longest wait between attempts",
          "unit": "ms",
          "min": 0,
          "max": 86400000,
          "required": false,
          "default": 3600000
        },
        {
          "name": "jitter",
          "json": "jitter",
          "wire": "jitter",
          "kind": "number",
          "help": "How much of the wait between attempts is left to chance",
          "min": 0,
          "max": 1,
          "required": false,
          "default": 1
        }
      ],
      "short": "delay",
      "default": null,
      "needs": null,
      "absent": {}
    },
    {
      "name": "timeout",
      "json": "timeout",
      "wire": "timeout",
      "kind": "duration",
      "help": "A run that takes longer has failed",
      "unit": "ms",
      "min": 1,
      "max": 86400000,
      "default": null,
      "needs": null,
      "absent": {}
    },
    {
      "name": "ttl",
      "json": "ttl",
      "wire": "ttl",
      "kind": "duration",
      "help": "A job that has waited so long is removed",
      "unit": "ms",
      "min": 1,
      "max": 31536000000,
      "default": null,
      "needs": null,
      "absent": {}
    },
    {
      "name": "keep_trying",
      "json": "keepTrying",
      "wire": "keepTrying",
      "kind": "duration",
      "help": "It is tried so long, however often it fails, and is a dead letter then",
      "unit": "ms",
      "min": 1,
      "max": 31536000000,
      "default": null,
      "needs": null,
      "absent": {}
    },
    {
      "name": "stall_timeout",
      "json": "stallTimeout",
      "wire": "stallTimeout",
      "kind": "duration",
      "help": "A worker that is silent for longer has lost the job",
      "unit": "ms",
      "min": 1,
      "max": 86400000,
      "default": null,
      "needs": null,
      "absent": {}
    },
    {
      "name": "lifo",
      "json": "lifo",
      "wire": "lifo",
      "kind": "boolean",
      "help": "It goes before older jobs of its priority",
      "default": false,
      "needs": null,
      "absent": {}
    },
    {
      "name": "durable",
      "json": "durable",
      "wire": "durable",
      "kind": "boolean",
      "help": "It is synced to the disk before it is accepted, and survives a power cut",
      "default": false,
      "needs": null,
      "absent": {}
    },
    {
      "name": "dedup",
      "json": "dedup",
      "wire": "uniqueKey",
      "kind": "map",
      "help": "What tells a second job of the queue from a new one: a key, or all there is to say",
      "parts": [
        {
          "name": "key",
          "json": "key",
          "wire": "key",
          "kind": "text",
          "help": "While a job of the queue holds this key, no second one is made",
          "min": 1,
          "max": 1024,
          "required": true,
          "default": null
        },
        {
          "name": "ttl",
          "json": "ttl",
          "wire": "ttl",
          "kind": "duration",
          "help": "The key is held so long, even if the job ends before",
          "unit": "ms",
          "min": 1,
          "max": 31536000000,
          "required": false,
          "default": null
        },
        {
          "name": "extend",
          "json": "extend",
          "wire": "extend",
          "kind": "boolean",
          "help": "Each further job begins the ttl anew",
          "required": false,
          "default": false
        },
        {
          "name": "replace",
          "json": "replace",
          "wire": "replace",
          "kind": "boolean",
          "help": "A new job takes the place of one that has not started",
          "required": false,
          "default": false
        }
      ],
      "short": "key",
      "default": null,
      "needs": null,
      "absent": {
        "flow": "a tree is stored whole or not at all"
      }
    },
    {
      "name": "remove_on_complete",
      "json": "removeOnComplete",
      "wire": "removeOnComplete",
      "kind": "boolean",
      "help": "It is deleted when it completes",
      "default": false,
      "needs": null,
      "absent": {}
    },
    {
      "name": "remove_on_fail",
      "json": "removeOnFail",
      "wire": "removeOnFail",
      "kind": "boolean",
      "help": "It is deleted when it would be a dead letter",
      "default": false,
      "needs": null,
      "absent": {}
    },
    {
      "name": "tags",
      "json": "tags",
      "wire": "tags",
      "kind": "texts",
      "help": "Words to find it by",
      "min": 0,
      "max": 100,
      "maxLength": 256,
      "default": [],
      "needs": null,
      "absent": {}
    },
    {
      "name": "group",
      "json": "group",
      "wire": "groupId",
      "kind": "text",
      "help": "Jobs of one group keep their order; groups take turns",
      "min": 1,
      "max": 256,
      "default": null,
      "needs": null,
      "absent": {}
    },
    {
      "name": "group_max_size",
      "json": "groupMaxSize",
      "wire": "groupMaxSize",
      "kind": "integer",
      "help": "It is refused when so many of its group wait",
      "min": 1,
      "max": 9007199254740991,
      "default": null,
      "needs": "group",
      "absent": {
        "form": "for those who enqueue many"
      }
    },
    {
      "name": "depends_on",
      "json": "dependsOn",
      "wire": "dependsOn",
      "kind": "texts",
      "help": "The ids of the jobs that have to complete before it",
      "min": 0,
      "max": 10000,
      "maxLength": 1024,
      "default": [],
      "needs": null,
      "absent": {
        "flow": "the tree says it",
        "rule": "what comes from outside names no job of this hub",
        "source": "what comes from outside names no job of this hub",
        "feed": "what comes from outside names no job of this hub",
        "schedule": "the jobs of a schedule come again and again, those they would wait for do not"
      }
    },
    {
      "name": "parent",
      "json": "parent",
      "wire": "parentId",
      "kind": "map",
      "help": "The job that is to wait for this one as well, while it has not started",
      "parts": [
        {
          "name": "queue",
          "json": "queue",
          "wire": "queue",
          "kind": "text",
          "help": "The queue of the job that is to wait for this one",
          "min": 1,
          "max": 256,
          "required": true,
          "default": null
        },
        {
          "name": "id",
          "json": "id",
          "wire": "id",
          "kind": "text",
          "help": "The id of the job that is to wait for this one",
          "min": 1,
          "max": 1024,
          "required": true,
          "default": null
        }
      ],
      "short": null,
      "default": null,
      "needs": null,
      "absent": {
        "flow": "the tree says it",
        "rule": "what comes from outside names no job of this hub",
        "source": "what comes from outside names no job of this hub",
        "feed": "it is told in the data of the job, which here is any device's own",
        "invoke": "it is told in the data of the job, which here is any device's own",
        "schedule": "the jobs of a schedule come again and again, a parent does not",
        "form": "a form makes one job, not one of a tree"
      }
    },
    {
      "name": "on_failure",
      "json": "onFailure",
      "wire": "onFailure",
      "kind": "choice",
      "help": "What its parent does when it is dead: die too, run at once, or no longer wait for it",
      "choices": [
        {
          "name": "fail",
          "wire": "failParentOnFailure"
        },
        {
          "name": "continue",
          "wire": "continueParentOnFailure"
        },
        {
          "name": "ignore",
          "wire": "ignoreDependencyOnFailure"
        },
        {
          "name": "remove",
          "wire": "removeDependencyOnFailure"
        }
      ],
      "default": null,
      "needs": "parent",
      "absent": {
        "rule": "there is no parent",
        "source": "there is no parent",
        "feed": "there is no parent",
        "invoke": "there is no parent",
        "schedule": "there is no parent",
        "form": "there is no parent"
      }
    },
    {
      "name": "stack_trace_limit",
      "json": "stackTraceLimit",
      "wire": "stackTraceLimit",
      "kind": "integer",
      "help": "How many lines of a failed run's stack are kept",
      "min": 0,
      "max": 10000,
      "default": 10,
      "needs": null,
      "absent": {
        "feed": "for clients of bunqueue",
        "invoke": "for clients of bunqueue",
        "rule": "for clients of bunqueue",
        "source": "for clients of bunqueue",
        "cli": "for clients of bunqueue",
        "form": "for clients of bunqueue",
        "home_assistant": "for clients of bunqueue",
        "node-red": "a flow tells why it failed, not with which stack"
      }
    },
    {
      "name": "timestamp",
      "json": "timestamp",
      "wire": "timestamp",
      "kind": "time",
      "help": "When it was made, if that was elsewhere",
      "unit": "Unix ms",
      "min": 0,
      "max": 253402300799999,
      "default": null,
      "needs": null,
      "absent": {
        "python": "for those who pass on jobs of others",
        "rest": "for those who pass on jobs of others",
        "flow": "for those who pass on jobs of others",
        "feed": "for those who pass on jobs of others",
        "invoke": "for those who pass on jobs of others",
        "schedule": "for those who pass on jobs of others",
        "rule": "for those who pass on jobs of others",
        "source": "for those who pass on jobs of others",
        "cli": "for those who pass on jobs of others",
        "form": "for those who pass on jobs of others",
        "home_assistant": "for those who pass on jobs of others",
        "node-red": "for those who pass on jobs of others"
      }
    },
    {
      "name": "children_ids",
      "json": "childrenIds",
      "wire": "childrenIds",
      "kind": "texts",
      "help": "Those of depends_on that are its children",
      "min": 0,
      "max": 10000,
      "maxLength": 1024,
      "default": [],
      "needs": null,
      "absent": {
        "python": "a child names its parent, and a tree of jobs is enqueued as one",
        "rest": "a child names its parent, and a tree of jobs is enqueued as one",
        "flow": "a child names its parent, and a tree of jobs is enqueued as one",
        "feed": "a child names its parent, and a tree of jobs is enqueued as one",
        "invoke": "a child names its parent, and a tree of jobs is enqueued as one",
        "schedule": "a child names its parent, and a tree of jobs is enqueued as one",
        "rule": "a child names its parent, and a tree of jobs is enqueued as one",
        "source": "a child names its parent, and a tree of jobs is enqueued as one",
        "cli": "a child names its parent, and a tree of jobs is enqueued as one",
        "form": "a child names its parent, and a tree of jobs is enqueued as one",
        "home_assistant": "a child names its parent, and a tree of jobs is enqueued as one",
        "node-red": "a child names its parent, and a tree of jobs is enqueued as one"
      }
    },
    {
      "name": "repeat",
      "json": "repeat",
      "wire": "repeat",
      "kind": "map",
      "help": "Each completed run pushes the next",
      "default": null,
      "needs": null,
      "absent": {
        "python": "for clients of bunqueue: a schedule goes on when a run has failed",
        "rest": "for clients of bunqueue: a schedule goes on when a run has failed",
        "flow": "for clients of bunqueue: a schedule goes on when a run has failed",
        "feed": "for clients of bunqueue: a schedule goes on when a run has failed",
        "invoke": "for clients of bunqueue: a schedule goes on when a run has failed",
        "schedule": "for clients of bunqueue: a schedule goes on when a run has failed",
        "rule": "for clients of bunqueue: a schedule goes on when a run has failed",
        "source": "for clients of bunqueue: a schedule goes on when a run has failed",
        "cli": "for clients of bunqueue: a schedule goes on when a run has failed",
        "form": "for clients of bunqueue: a schedule goes on when a run has failed",
        "home_assistant": "for clients of bunqueue: a schedule goes on when a run has failed",
        "node-red": "for clients of bunqueue: a schedule goes on when a run has failed"
      }
    }
  ]
}
);
