;; Splits bytes at a separator, 64 bytes at a time. `scripts/generate.ts` compiles this into split-module.ts.
;;
;;   0 …        the bytes, up to 128 KiB, which the caller copies here; 64 more may be read and mean nothing
;;   0x20100 …  where each frame starts, and last, where the next one would: 1025 integers of 32 bits
;;   0x22100 …  where each frame ends, and last, how many have lost the byte before their separator
(module
  (memory (export "memory") 3 3)
  (func (export "split")
    (param $separator i32)
    (param $dropped i32) ;; dropped where it stands before a separator; more than 255 for none
    (param $length i32)
    (param $base i32) ;; index, in the buffer of the caller, of the first byte here
    (param $start i32) ;; index, in that buffer, at which the first frame starts
    (param $most i32) ;; at most 1024
    (result i32) ;; how many frames were found
    (local $at i32)
    (local $place i32) ;; of a separator
    (local $end i32)
    (local $count i32)
    (local $drops i32)
    (local $found i64) ;; bit n is set where byte $at + n is a separator
    (local $wanted v128)
    (local.set $wanted (i8x16.splat (local.get $separator)))
    (block $done
      (loop $blocks
        (br_if $done (i32.ge_u (local.get $at) (local.get $length)))
        (local.set $found
          (i64.or
            (i64.or
              (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (local.get $wanted))))
              (i64.shl
                (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (v128.load offset=16 (local.get $at)) (local.get $wanted))))
                (i64.const 16)))
            (i64.or
              (i64.shl
                (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (v128.load offset=32 (local.get $at)) (local.get $wanted))))
                (i64.const 32))
              (i64.shl
                (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (v128.load offset=48 (local.get $at)) (local.get $wanted))))
                (i64.const 48)))))
        (block $none
          (loop $bits
            (br_if $none (i64.eqz (local.get $found)))
            (local.set $place (i32.add (local.get $at) (i32.wrap_i64 (i64.ctz (local.get $found)))))
            (br_if $done (i32.ge_u (local.get $place) (local.get $length)))
            (br_if $done (i32.eq (local.get $count) (local.get $most)))
            (local.set $end (i32.add (local.get $base) (local.get $place)))
            (if (i32.gt_u (local.get $end) (local.get $start))
              (then
                (if (i32.eq (i32.load8_u (i32.sub (local.get $place) (i32.const 1))) (local.get $dropped))
                  (then
                    (local.set $end (i32.sub (local.get $end) (i32.const 1)))
                    (local.set $drops (i32.add (local.get $drops) (i32.const 1)))))))
            (i32.store offset=0x20100 (i32.shl (local.get $count) (i32.const 2)) (local.get $start))
            (i32.store offset=0x22100 (i32.shl (local.get $count) (i32.const 2)) (local.get $end))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (local.set $start (i32.add (i32.add (local.get $base) (local.get $place)) (i32.const 1)))
            ;; Clears the lowest bit that is set.
            (local.set $found (i64.and (local.get $found) (i64.sub (local.get $found) (i64.const 1))))
            (br $bits)))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $blocks)))
    (i32.store offset=0x20100 (i32.shl (local.get $count) (i32.const 2)) (local.get $start))
    (i32.store offset=0x22100 (i32.shl (local.get $count) (i32.const 2)) (local.get $drops))
    (local.get $count)))
