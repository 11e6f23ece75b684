/* tests/support/faults.h
 * Makes a chosen call of a device fail, counts the objects of a device that are alive, and
 * notes uses that Vulkan forbids and a software device forgives. The faults of a Vulkan
 * device are injected into volk's table of functions, those of `ref` into its table of
 * backend calls. The program itself has no hook: both tables are data. */
#ifndef TESTS_SUPPORT_FAULTS_H
#define TESTS_SUPPORT_FAULTS_H

#include "runtime/device/device.h"

/* Which call fails. On `ref`: buffer_create, -, -, the calls that make and record lists,
 * submit, wait; and for a lost device all that run or copy. */
enum test_fault {
    TEST_FAULT_ALLOCATE, /* vkAllocateMemory: out of device memory */
    TEST_FAULT_MAP,      /* vkMapMemory */
    TEST_FAULT_PIPELINE, /* vkCreateComputePipelines: out of device memory */
    TEST_FAULT_OBJECT,   /* any other object, and recording: out of host memory */
    TEST_FAULT_SUBMIT,   /* vkQueueSubmit: out of device memory */
    TEST_FAULT_WAIT,     /* vkWaitForFences, vkQueueWaitIdle: out of host memory */
    TEST_FAULT_LOST,     /* a submission or wait, and all that come after it */
    TEST_FAULT_COUNT
};
extern const char *const test_fault_names[TEST_FAULT_COUNT];

/* Takes over the tables of an open device; one device at a time. Objects are counted from
 * here on. */
void test_faults_install(struct rt_device *dev);
/* An open Vulkan device with these tables gets memory of its own, which the host does not
 * see, so that it is filled and read by transfers. Before the first buffer. */
void test_faults_discrete(struct rt_device *dev);
/* Gives the tables back, after the device was destroyed. */
void test_faults_remove(void);

/* The n-th call of this kind from now on fails, n > 0; a device that was lost is there
 * again. 0: none fails. */
void test_faults_arm(enum test_fault kind, uint64_t n);
/* Calls of the armed kind since then, and whether one of them failed. */
uint64_t test_faults_calls(void);
bool test_faults_hit(void);

/* Objects that are alive, in one number; kernels, layouts and blocks of memory apart, which
 * a device keeps until it is destroyed. */
uint64_t test_faults_live(void);
/* All objects, kernels, layouts and blocks included. */
uint64_t test_faults_live_all(void);
/* The first forbidden use since the installation, in words; null: none. */
const char *test_faults_misuse(void);

/* ---- between faults.c and faults_vk.c ---- */

/* Counts a call; true where it is to fail. */
bool test_fault_here(enum test_fault kind);
bool test_fault_is_lost(void);
void test_fault_misuse(const char *what);
/* Objects came (> 0) or went (< 0). `kept`: of those that a device keeps. */
void test_fault_objects(int64_t count, bool kept);
void test_faults_vk_install(struct rt_device *dev);
void test_faults_vk_remove(void);

#endif
