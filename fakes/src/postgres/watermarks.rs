//! Operations on `watermarks`.

use flashsale_engine::{FlashSaleName, Watermark, Watermarks};

use crate::postgres::tables::Tables;

impl Tables {
    /// Publishes the watermark of a process.
    pub fn publish_watermark(
        &mut self,
        flash_sale: &FlashSaleName,
        process: u64,
        settled_through_us: i64,
        now_us: i64,
    ) {
        let watermark = Watermark {
            process,
            settled_through_us: settled_through_us.min(now_us),
            seen_us: now_us,
        };
        // The FlashSale of a row stays what it was.
        let row = self.watermarks.entry(process);
        row.or_insert_with(|| (flash_sale.clone(), watermark)).1 = watermark;
    }

    /// Deletes the watermark of a process.
    pub fn delete_watermark(&mut self, process: u64) {
        self.watermarks.remove(&process);
    }

    /// What the processes of a FlashSale have published.
    pub fn read_watermarks(&self, flash_sale: &FlashSaleName, now_us: i64) -> Watermarks {
        let rows = self.watermarks.values();
        let own = rows.filter(|(of, _)| of == flash_sale);
        Watermarks {
            now_us,
            of_processes: own.map(|(_, watermark)| *watermark).collect(),
        }
    }

    /// Deletes watermarks that a FlashSale's processes published before this time.
    pub fn delete_watermarks_before(&mut self, flash_sale: &FlashSaleName, before_us: i64) {
        self.watermarks
            .retain(|_, (of, watermark)| of != flash_sale || watermark.seen_us >= before_us);
    }
}
