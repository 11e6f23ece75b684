/* pipeline/run/doctor.h
 * What works on this machine and what does not: findings with stable codes.
 *
 *   D01 devices can be listed      D10 the device that was opened    D15 self-test
 *   D02 a device cannot be used    D11 it is software                D20, D21 results folder
 *   D03 no Vulkan driver           D12 timestamps
 *                                  D13 messages of the validation layer
 *                                  D14 its plan */
#ifndef PIPELINE_RUN_DOCTOR_H
#define PIPELINE_RUN_DOCTOR_H

#include "runtime/device/device.h"

enum { PIPE_DOCTOR_MAX = 16 }; /* findings; what does not fit is dropped */

enum pipe_doctor_kind { PIPE_DOCTOR_GOOD, PIPE_DOCTOR_NOTE, PIPE_DOCTOR_BAD };

struct pipe_doctor_finding {
    const char *code; /* "D01" */
    enum pipe_doctor_kind kind;
    char text[320];
    const char *next; /* what to do; null: nothing */
};

/* Zero is a valid start. */
struct pipe_doctor {
    struct pipe_doctor_finding list[PIPE_DOCTOR_MAX];
    uint32_t count;
    struct rt_device_info *devices; /* owned */
    uint32_t device_count;
};

/* Lists the devices. A failure is a finding. */
void pipe_doctor_devices(struct rt_ctx *ctx, struct pipe_doctor *d);
/* What the device that is to be used offers, and a self-test: one op end to end (memory,
 * pipeline, submission, reading back). `opened` is the status of opening it, dev null if that
 * failed. `validation`: the validation layer is on. Returns what went wrong first; the message
 * of ctx is part of the findings. */
RT_CHECKED rt_status pipe_doctor_device(struct rt_ctx *ctx, struct pipe_doctor *d,
                                        struct rt_device *dev, rt_status opened,
                                        bool validation);
/* Whether the folder of a results file can be written, and how much fits: less than 200 MiB
 * is a note. */
void pipe_doctor_store(struct pipe_doctor *d, const char *path);
void pipe_doctor_deinit(struct pipe_doctor *d);

#endif
